create index concurrently parcels_address on parcels (address);
