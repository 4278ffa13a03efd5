-- lab:tx
create table streets (name text primary key);
insert into streets select distinct address from parcels;
alter table parcels add constraint parcels_street foreign key (address) references streets (name);
-- lab:end
