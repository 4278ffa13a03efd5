-- Contract: V1 can never run again. Only when no V1 runs, drains, or is kept to roll back to.
--
-- First the proof that no row lacks the new names, outside the transaction that locks the table: VALIDATE reads every
-- row but lets reads and writes go on, and with it SET NOT NULL below has nothing left to read.
-- lab:tx
alter table parcels
    drop constraint if exists parcels_names_present,
    add constraint parcels_names_present check (first_name is not null and last_name is not null) not valid;
-- lab:end

-- lab:tx
alter table parcels validate constraint parcels_names_present;
-- lab:end

-- Trigger before column: a trigger that outlives its column, be it for 50 ms, fails every write (42703).
-- lab:tx
drop trigger parcels_sync_names on parcels;
drop function parcels_sync_names();
drop function parcels_recipient_name(text, text);
drop function parcels_last_name(text);
drop function parcels_first_name(text);
alter table parcels drop column recipient_name;
alter table parcels
    alter column first_name set not null,
    alter column last_name set not null;
alter table parcels drop constraint parcels_names_present;
-- lab:end
