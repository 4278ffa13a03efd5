select
    count(*) filter (where place.parcel_id is null) as missing,
    count(*) filter (where place.address <> parcels.address) as diverged
from parcels left join parcel_addresses place on parcel_id = id
