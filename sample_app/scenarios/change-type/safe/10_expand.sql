-- lab:tx
alter table parcels add column status_code smallint;
-- lab:sync create code
-- lab:end
