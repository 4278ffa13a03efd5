"""V1: the recipient's name is one column. Read it beside V2: `diff -y sample_app/v1.py sample_app/v2.py`."""

from sample_app.app_code import Code, Columns, Fields, Row


def recipient_columns(given: Fields) -> Columns:
    return {"recipient_name": given.get("recipient_name")}


def parcel(row: Row) -> Row:
    return {
        "id": row["id"],
        "key": row["key"],
        "recipient_name": row["recipient_name"],
        "address": row["address"],
        "status": row["status"],
    }


CODE = Code(
    name="v1",
    columns=("id", "key", "recipient_name", "address", "status"),
    recipient_fields=("recipient_name",),
    recipient_columns=recipient_columns,
    parcel=parcel,
    insert="""
        insert into parcels (key, recipient_name, address)
        values (%(key)s, %(recipient_name)s, %(address)s)
        on conflict (key) do nothing
        returning id, key, recipient_name, address, status
    """,
    by_key="""
        select id, key, recipient_name, address, status
        from parcels where key = %(key)s
    """,
    by_id="""
        select id, key, recipient_name, address, status
        from parcels where id = %(id)s
    """,
    page="""
        select id, key, recipient_name, address, status
        from parcels where id > %(after)s order by id limit %(limit)s
    """,
    update="""
        update parcels set
            recipient_name = coalesce(%(recipient_name)s, recipient_name),
            address = coalesce(%(address)s, address),
            status = coalesce(%(status)s, status)
        where id = %(id)s
        returning id, key, recipient_name, address, status
    """,
)
