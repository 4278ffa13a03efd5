-- lab:tx
alter table parcels add column first_name text, add column last_name text;
alter table parcels alter column recipient_name drop not null;
-- lab:end
update parcels set
    first_name = split_part(recipient_name, ' ', 1),
    last_name = substr(recipient_name, length(split_part(recipient_name, ' ', 1)) + 2);
