alter table parcels add column receiver text;
update parcels set receiver = recipient_name;
