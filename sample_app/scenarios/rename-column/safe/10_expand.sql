-- lab:tx
alter table parcels add column street text;
-- lab:sync create street
-- lab:end
