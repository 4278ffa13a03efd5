-- Expand: V1 notices nothing. The new columns may be empty, and from the first moment that they exist a trigger keeps
-- both sides of the name equal, whichever version writes. One transaction, so there is no moment with the columns and
-- without the trigger.
--
-- The runner waits for the table for a moment only (lock_timeout) and tries again: else every query would queue up
-- behind a waiting ALTER TABLE.
-- lab:tx

alter table parcels
    add column first_name text,
    add column last_name text;

create function parcels_first_name(recipient_name text) returns text
immutable language sql as $$
    select split_part(btrim(recipient_name, ' '), ' ', 1)
$$;

create function parcels_last_name(recipient_name text) returns text
immutable language sql as $$
    select substr(btrim(recipient_name, ' '), length(split_part(btrim(recipient_name, ' '), ' ', 1)) + 2)
$$;

create function parcels_recipient_name(first_name text, last_name text) returns text
immutable language sql as $$
    select btrim(first_name || ' ' || last_name, ' ')
$$;

-- Only the side whose source changed is computed anew. A name that V2 wrote as "Mary Ann" + "Lee" stays so when V1
-- changes the address, although V1's rule would split it otherwise.
create function parcels_sync_names() returns trigger
language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        if new.recipient_name is null then                                      -- V2 wrote
            new.recipient_name := parcels_recipient_name(new.first_name, new.last_name);
        elsif new.first_name is null and new.last_name is null then             -- V1 wrote
            new.first_name := parcels_first_name(new.recipient_name);
            new.last_name := parcels_last_name(new.recipient_name);
        end if;
    elsif (new.first_name, new.last_name) is distinct from (old.first_name, old.last_name) then
        if new.recipient_name is not distinct from old.recipient_name then      -- V2 wrote
            new.recipient_name := parcels_recipient_name(new.first_name, new.last_name);
        end if;
    elsif new.recipient_name is distinct from old.recipient_name then           -- V1 wrote
        new.first_name := parcels_first_name(new.recipient_name);
        new.last_name := parcels_last_name(new.recipient_name);
    end if;
    return new;
end
$$;

create trigger parcels_sync_names
before insert or update on parcels
for each row execute function parcels_sync_names();

-- lab:end
