-- lab:tx
alter table parcels add constraint parcels_street_present check (street is not null) not valid;
-- lab:end
alter table parcels validate constraint parcels_street_present;
-- lab:tx
-- lab:sync drop street
alter table parcels drop column address;
alter table parcels alter column street set not null;
alter table parcels drop constraint parcels_street_present;
-- lab:end
