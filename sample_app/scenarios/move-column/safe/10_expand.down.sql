-- lab:tx
drop trigger parcels_address_moves on parcels;
drop function parcels_address_moves();
drop table parcel_addresses;
drop function parcel_addresses_moves();
alter table parcels alter column address set not null;
-- lab:end
