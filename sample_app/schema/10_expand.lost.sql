-- What going back to base would lose; it must be 0: names that V2 split otherwise than V1's rule would.
select
    count(*) filter (
        where first_name is distinct from parcels_first_name(recipient_name)
           or last_name is distinct from parcels_last_name(recipient_name)
    ) as split_by_v2
from parcels
where first_name is not null and last_name is not null
