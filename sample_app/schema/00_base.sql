-- What V1 lives on.
-- lab:tx

create table parcels (
    id bigint generated always as identity primary key,
    key text not null unique,
    recipient_name text not null,
    address text not null,
    status text not null default 'registered'
);

-- Every write that a replica handled, once for each time it was handled. Append-only: a request that took effect
-- twice is seen here even where the parcel's key hides it.
create table lab_executions (
    id bigint generated always as identity primary key,
    request_id text not null,
    attempt integer not null,
    operation text not null,
    replica text not null,
    version text not null,
    at timestamptz not null default clock_timestamp()
);

-- lab:end
