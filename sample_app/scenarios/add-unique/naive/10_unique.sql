alter table parcels add column tracking text not null default '';
update parcels set tracking = key;
alter table parcels add constraint parcels_tracking unique (tracking);
