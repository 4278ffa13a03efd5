-- lab:tx
alter table parcels add column service text not null default 'standard';
alter table parcels alter column service drop default;
-- lab:end
