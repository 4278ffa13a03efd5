-- lab:tx
alter table parcels alter column status drop default;
alter table parcels alter column status type smallint using array_position(array['registered', 'in_transit', 'delivered'], status)::smallint;
alter table parcels alter column status set default 1;
-- lab:end
