drop index concurrently parcels_address;
