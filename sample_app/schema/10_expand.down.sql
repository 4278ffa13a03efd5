-- Back to base. Only while no V2 runs: where V2 split a name otherwise than V1's rule would, that is lost; the whole
-- name is not.
-- lab:tx

drop trigger parcels_sync_names on parcels;
drop function parcels_sync_names();
drop function parcels_recipient_name(text, text);
drop function parcels_last_name(text);
drop function parcels_first_name(text);

alter table parcels
    drop column first_name,
    drop column last_name;

-- lab:end
