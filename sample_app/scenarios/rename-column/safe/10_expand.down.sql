-- lab:tx
-- lab:sync drop street
alter table parcels drop column street;
-- lab:end
