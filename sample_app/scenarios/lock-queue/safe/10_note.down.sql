alter table parcels drop column note;
