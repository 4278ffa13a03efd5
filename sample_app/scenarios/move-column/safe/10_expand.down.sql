-- Proved while writes go on; then NOT NULL need not read the rows again under a lock for which everybody waits.
alter table parcels add constraint parcels_address_is_there check (address is not null) not valid;
alter table parcels validate constraint parcels_address_is_there;
-- lab:tx
drop trigger parcels_address_moves on parcels;
drop function parcels_address_moves();
drop table parcel_addresses;
drop function parcel_addresses_moves();
alter table parcels alter column address set not null;
alter table parcels drop constraint parcels_address_is_there;
-- lab:end
