-- lab:tx
create table parcel_addresses (parcel_id bigint primary key, address text not null);
alter table parcels alter column address drop not null;

-- Each trigger is quiet while the other one works. Always parcels first, then the address: no two writers wait for
-- each other.
create function parcels_address_moves() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() = 1 and new.address is not null then
        insert into parcel_addresses values (new.id, new.address)
        on conflict (parcel_id) do update set address = excluded.address;
    end if;
    return new;
end
$$;
create function parcel_addresses_moves() returns trigger language plpgsql as $$
begin
    if pg_trigger_depth() = 1 then
        update parcels set address = new.address where id = new.parcel_id and address is distinct from new.address;
    end if;
    return new;
end
$$;
create trigger parcels_address_moves after insert or update of address on parcels
for each row execute function parcels_address_moves();
create trigger parcel_addresses_moves after insert or update on parcel_addresses
for each row execute function parcel_addresses_moves();
-- lab:end
