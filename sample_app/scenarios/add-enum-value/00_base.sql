-- What V1 lives on, and what this change is about.
-- lab:tx
create type parcel_status as enum ('registered', 'in_transit', 'delivered');

create table parcels (
    id bigint generated always as identity primary key,
    key text not null unique,
    recipient_name text not null,
    address text not null,
    status parcel_status not null default 'registered'
);

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
