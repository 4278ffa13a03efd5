-- lab:tx
-- lab:sync drop receiver
alter table parcels drop column receiver;
-- lab:end
