alter table parcels alter column status set default 'accepted';
