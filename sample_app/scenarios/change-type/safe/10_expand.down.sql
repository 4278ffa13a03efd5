-- lab:tx
-- lab:sync drop code
alter table parcels drop column status_code;
-- lab:end
