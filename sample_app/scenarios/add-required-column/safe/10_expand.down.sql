alter table parcels drop column service;
