create table streets (name text primary key);
