alter table parcels drop column carrier;
