alter table parcels add column tracking text;
