alter table parcels rename column address to street;
