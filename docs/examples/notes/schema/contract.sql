-- lab:tx
drop trigger notes_same on notes;
drop function notes_same();
alter table notes drop column body;
-- lab:end
