-- Backfill: one batch. Fills up to %(batch)s rows that were written before the trigger, with an id above %(after)s,
-- and says where it came to. Begin with after = 0, go on with last_id as the next `after`, stop when filled is 0.
-- Each batch is a transaction of its own, short enough that nobody waits for its locks.
--
-- The new values are computed here, in the same statement that locks the rows: read in one and written in another, a
-- V1 write between the two would be lost.
with batch as (
    select parcels.id
    from parcels
    where parcels.id > %(after)s
      and (parcels.first_name is null or parcels.last_name is null)
    order by parcels.id
    limit %(batch)s
    for update
), filled as (
    update parcels
    set first_name = parcels_first_name(parcels.recipient_name),
        last_name = parcels_last_name(parcels.recipient_name)
    from batch
    where parcels.id = batch.id
    returning parcels.id
)
select max(filled.id) as last_id, count(*) as filled from filled
