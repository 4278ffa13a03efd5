update parcels set tracking = key where tracking is null;
create unique index concurrently parcels_tracking on parcels (tracking);
alter table parcels add constraint parcels_tracking unique using index parcels_tracking;
