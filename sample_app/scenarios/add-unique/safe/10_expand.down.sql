alter table parcels drop column tracking;
