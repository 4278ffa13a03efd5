alter table parcels add column note text;
