alter table parcels add column service text not null default 'standard';
