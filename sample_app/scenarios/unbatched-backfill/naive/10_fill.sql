alter table parcels add column note text;
-- The pause stands for the time that it takes on a table of many millions of rows.
-- lab:tx
update parcels set note = address;
select pg_sleep(6);
-- lab:end
