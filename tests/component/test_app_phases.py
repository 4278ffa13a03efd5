"""V1 and V2 on each phase of the schema: what each phase serves, and what breaks where it does not."""

import itertools

import pytest

COUNTER = itertools.count()


@pytest.fixture(scope="module")
def both(new_schema, start_shared):
    """A V1 and a V2 on one backfilled database; each test makes parcels of its own."""
    schema = new_schema().to("backfilled")
    return schema, start_shared(schema.conninfo), start_shared(schema.conninfo, "v2")


def names_of(replica):
    return [item["recipient_name"] for item in replica.ask("GET", "/parcels").data["items"]]


def test_v2_on_base_is_ready_and_fails_with_42703(old_rows, start_app) -> None:
    two = start_app(old_rows.conninfo, "v2")

    assert two.ask("GET", "/readyz").status == 200
    for method, path, body in (
        ("GET", "/parcels", None),
        ("GET", "/parcels/1", None),
        ("PATCH", "/parcels/1", {"status": "sent"}),
        ("POST", "/parcels", {"key": "k", "recipient_name": "Ann Lee", "address": "1"}),
    ):
        reply = two.ask(method, path, body)

        assert (reply.status, reply.error["code"]) == (500, "42703")
        assert reply.headers["X-Lab-Error"].startswith('42703 column "first_name" ')
    errors = two.events("error")
    assert {line["code"] for line in errors} == {"42703"}
    assert [line["statement"].partition(" ")[0] for line in errors] == ["select", "select", "update", "insert"]
    assert errors[1]["statement"].endswith("from parcels where id = %(id)s")
    assert two.ask("GET", "/readyz").data == {"ready": True, "detail": "ok"}


def test_v1_runs_through_expand_and_backfill_on_its_open_connections(old_rows, start_app) -> None:
    one = start_app(old_rows.conninfo)
    for step in (lambda: None, lambda: old_rows.run("10_expand.sql"), old_rows.backfill):
        step()
        for number in range(8):
            key = f"k-{next(COUNTER)}"
            made = one.ask("POST", "/parcels", {"key": key, "recipient_name": "Eve Adams", "address": "1"})
            path = f"/parcels/{made.data['id']}"
            changed = one.ask("PATCH", path, {"recipient_name": f"Eve {number}"})

            assert (made.status, changed.status) == (201, 200)
            assert one.ask("GET", path).data["recipient_name"] == f"Eve {number}"
    assert old_rows.verify() == (0, 0)


def test_v2_before_the_backfill_shows_old_rows_without_names(old_rows, start_app, old_names) -> None:
    old_rows.run("10_expand.sql")
    two = start_app(old_rows.conninfo, "v2")

    assert names_of(two) == [None] * len(old_names)
    old_rows.backfill()
    assert names_of(two) == old_names


def test_what_either_version_writes_both_read_and_write_on(both, old_names) -> None:
    schema, *replicas = both
    for (writer, reader), name in itertools.product(itertools.product(replicas, repeat=2), old_names):
        body = {"key": f"k-{next(COUNTER)}", "recipient_name": name, "address": "1"}
        made = writer.ask("POST", "/parcels", body)
        path = f"/parcels/{made.data['id']}"
        assert made.status == 201
        assert reader.ask("GET", path).data.items() >= body.items()

        repeated = reader.ask("POST", "/parcels", body)
        assert (repeated.status, repeated.data["id"]) == (200, made.data["id"])

        reader.ask("PATCH", path, {"recipient_name": f"{name} Jr"})
        assert writer.ask("GET", path).data["recipient_name"] == f"{name} Jr"
        writer.ask("PATCH", path, {"status": "sent", "address": "2"})
        changed = {**body, "recipient_name": f"{name} Jr", "status": "sent", "address": "2"}
        assert reader.ask("GET", path).data.items() >= changed.items()
    assert names_of(replicas[0]) == names_of(replicas[1])
    assert schema.verify() == (0, 0)


def test_v1_does_not_undo_how_v2_split_a_name(both) -> None:
    _, one, two = both
    body = {"key": "mary", "first_name": "Mary Ann", "last_name": "Lee", "address": "1"}
    made = two.ask("POST", "/parcels", body)
    path = f"/parcels/{made.data['id']}"

    assert one.ask("GET", path).data["recipient_name"] == "Mary Ann Lee"
    one.ask("PATCH", path, {"address": "2", "recipient_name": "Mary Ann Lee"})
    kept = two.ask("GET", path).data
    assert (kept["first_name"], kept["last_name"], kept["address"]) == ("Mary Ann", "Lee", "2")

    one.ask("PATCH", path, {"recipient_name": "Eve Adams"})
    renamed = two.ask("GET", path).data
    assert (renamed["first_name"], renamed["last_name"]) == ("Eve", "Adams")


def test_v2_changes_one_part_of_a_name_and_v1_sees_the_whole(both) -> None:
    _, one, two = both
    made = one.ask("POST", "/parcels", {"key": "ann", "recipient_name": "Ann Lee", "address": "1"})
    path = f"/parcels/{made.data['id']}"

    changed = two.ask("PATCH", path, {"last_name": "Leigh"})

    assert changed.data["recipient_name"] == "Ann Leigh"
    assert one.ask("GET", path).data["recipient_name"] == "Ann Leigh"


def test_concurrent_changes_from_both_sides_leave_nothing_diverged(both, in_background) -> None:
    schema, one, two = both
    made = one.ask("POST", "/parcels", {"key": "busy", "recipient_name": "Ann Lee", "address": "1"})
    path = f"/parcels/{made.data['id']}"
    bodies = [(one, {"recipient_name": f"A{n} B C"}) for n in range(20)]
    bodies += [(two, {"first_name": f"X{n}"}) for n in range(20)]
    bodies += [(two, {"last_name": f"Y{n}"}) for n in range(20)]

    changes = [in_background(replica.ask, "PATCH", path, body) for replica, body in bodies]

    assert {change.result().status for change in changes} == {200}
    assert schema.verify() == (0, 0)


def test_contracted_serves_v2_on_its_open_connections_and_breaks_v1(backfilled, start_app) -> None:
    one, two = start_app(backfilled.conninfo), start_app(backfilled.conninfo, "v2")
    before = names_of(two)
    assert names_of(one) == before

    backfilled.run("30_contract.sql")

    assert names_of(two) == before
    made = two.ask("POST", "/parcels", {"key": "k", "recipient_name": "Ann Lee", "address": "1"})
    assert made.status == 201
    changed = two.ask("PATCH", f"/parcels/{made.data['id']}", {"last_name": "Leigh"})
    assert changed.data["recipient_name"] == "Ann Leigh"
    reply = one.ask("GET", "/parcels")
    assert (reply.status, reply.error["code"]) == (500, "42703")


def test_expand_can_be_taken_back(backfilled, start_app, old_names) -> None:
    one = start_app(backfilled.conninfo)

    backfilled.run("10_expand.down.sql")

    assert names_of(one) == old_names
    assert one.ask("POST", "/parcels", {"key": "k", "recipient_name": "A", "address": "1"}).status == 201
    backfilled.run("10_expand.sql")


def test_v2_checks_schema_is_ready_only_where_its_columns_are(old_rows, start_app) -> None:
    two = start_app(old_rows.conninfo, "v2", faults="checks-schema", ready=False)
    missing = {"ready": False, "detail": "parcels has no column first_name, last_name"}

    refused = two.until("/readyz", lambda reply: "column" in reply.data["detail"])
    assert (refused.status, refused.data) == (503, missing)
    old_rows.run("10_expand.sql")
    two.until("/readyz", lambda reply: reply.status == 200)
