-- lab:tx
alter table notes add column content text;
create function notes_same() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        new.content := coalesce(new.content, new.body);
        new.body := new.content;
    elsif new.content is distinct from old.content then
        new.body := new.content;
    else
        new.content := new.body;
    end if;
    return new;
end
$$;
create trigger notes_same before insert or update on notes for each row execute function notes_same();
-- lab:end
