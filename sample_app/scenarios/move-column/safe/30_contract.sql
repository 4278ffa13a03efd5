-- lab:tx
drop trigger parcels_address_moves on parcels;
drop trigger parcel_addresses_moves on parcel_addresses;
drop function parcels_address_moves();
drop function parcel_addresses_moves();
alter table parcels drop column address;
-- lab:end
