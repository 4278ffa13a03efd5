-- The row that another writer has placed meanwhile is right already.
with batch as (
    select id, address from parcels
    where id > %(after)s and not exists (select from parcel_addresses where parcel_id = id)
    order by id limit %(batch)s
    for update
), filled as (
    insert into parcel_addresses select id, address from batch
    on conflict (parcel_id) do nothing
)
select max(id) as last_id, count(*) as filled from batch
