"""V2: the recipient's name is two columns. Read it beside V1: `diff -y sample_app/v1.py sample_app/v2.py`."""

from sample_app import names
from sample_app.app_code import Code, Columns, Fields, Row


def recipient_columns(given: Fields) -> Columns:
    if "recipient_name" in given and not {"first_name", "last_name"} & given.keys():
        first_name, last_name = names.split(given["recipient_name"])
        return {"first_name": first_name, "last_name": last_name}
    return {"first_name": given.get("first_name"), "last_name": given.get("last_name")}


def parcel(row: Row) -> Row:
    return {
        "id": row["id"],
        "key": row["key"],
        "recipient_name": names.join(row["first_name"], row["last_name"]),
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "address": row["address"],
        "status": row["status"],
    }


CODE = Code(
    name="v2",
    columns=("id", "key", "first_name", "last_name", "address", "status"),
    recipient_fields=("first_name", "last_name", "recipient_name"),
    recipient_columns=recipient_columns,
    parcel=parcel,
    insert="""
        insert into parcels (key, first_name, last_name, address)
        values (%(key)s, %(first_name)s, %(last_name)s, %(address)s)
        on conflict (key) do nothing
        returning id, key, first_name, last_name, address, status
    """,
    by_key="""
        select id, key, first_name, last_name, address, status
        from parcels where key = %(key)s
    """,
    by_id="""
        select id, key, first_name, last_name, address, status
        from parcels where id = %(id)s
    """,
    page="""
        select id, key, first_name, last_name, address, status
        from parcels where id > %(after)s order by id limit %(limit)s
    """,
    update="""
        update parcels set
            first_name = coalesce(%(first_name)s, first_name),
            last_name = coalesce(%(last_name)s, last_name),
            address = coalesce(%(address)s, address),
            status = coalesce(%(status)s, status)
        where id = %(id)s
        returning id, key, first_name, last_name, address, status
    """,
)
