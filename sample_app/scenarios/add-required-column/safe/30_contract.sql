alter table parcels alter column service drop default;
