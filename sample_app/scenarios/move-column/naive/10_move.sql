-- lab:tx
create table parcel_addresses (parcel_id bigint primary key, address text not null);
insert into parcel_addresses select id, address from parcels;
alter table parcels drop column address;
-- lab:end
