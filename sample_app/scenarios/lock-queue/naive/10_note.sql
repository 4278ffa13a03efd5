-- lab:tx
set local lock_timeout = 0;
alter table parcels add column note text;
-- lab:end
