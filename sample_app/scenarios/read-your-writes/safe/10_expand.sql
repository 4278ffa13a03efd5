-- lab:tx
alter table parcels add column receiver text;
-- lab:sync create receiver
-- lab:end
