-- The pause stands for the time that the build takes on a table of many millions of rows.
-- lab:tx
create index parcels_address on parcels (address);
select pg_sleep(6);
-- lab:end
