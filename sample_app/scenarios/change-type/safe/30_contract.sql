-- lab:tx
alter table parcels add constraint parcels_code_present check (status_code is not null) not valid;
-- lab:end
alter table parcels validate constraint parcels_code_present;
-- lab:tx
-- lab:sync drop code
alter table parcels drop column status;
alter table parcels alter column status_code set default 1, alter column status_code set not null;
alter table parcels drop constraint parcels_code_present;
-- lab:end
