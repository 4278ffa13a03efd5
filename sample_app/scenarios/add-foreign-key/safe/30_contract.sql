alter table parcels add constraint parcels_street foreign key (address) references streets (name) not valid;
insert into streets select distinct address from parcels on conflict do nothing;
alter table parcels validate constraint parcels_street;
