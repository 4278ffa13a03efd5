drop table streets;
