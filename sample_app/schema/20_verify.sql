-- May V2 run? Both numbers must be 0: rows without the new names, and rows whose two sides differ.
select
    count(*) filter (where first_name is null or last_name is null) as missing,
    count(*) filter (where recipient_name <> parcels_recipient_name(first_name, last_name)) as diverged
from parcels
