"""The variants whose answers are all right and whose writes are not: each wrong one is named in the app's own log."""

import json

import jsonschema
import pytest

BODY = {"recipient_name": "Ada Lovelace", "address": "1 Harbour Street"}


@pytest.fixture
def base(schema):
    return schema.to("base")


def stored(base) -> set[str]:
    return {row[0] for row in base.query("select key from parcels")}


def write(replica, number: int):
    body = {"key": f"k-{number}", **BODY}
    return replica.ask("POST", "/parcels", json.dumps(body).encode(), request_id=f"r-{number}")


def test_loses_writes_takes_away_every_third_parcel_it_acknowledged_and_names_it(start_app, base, root) -> None:
    replica = start_app(base.conninfo, "v1", faults="loses-writes")

    told = [write(replica, number) for number in range(1, 7)]

    assert {reply.status for reply in told} == {201}
    lost = [replica.logged("fault", id=f"r-{number}") for number in (3, 6)]
    assert {line["fault"] for line in lost} == {"loses-writes"}
    assert stored(base) == {"k-1", "k-2", "k-4", "k-5"}
    schema = json.loads((root / "docs/reference/schemas/app-log.schema.json").read_text())
    for line in replica.log:
        jsonschema.validate(line, schema)


def test_writes_twice_stores_every_third_parcel_again_and_names_it(start_app, base) -> None:
    replica = start_app(base.conninfo, "v1", faults="writes-twice")

    told = [write(replica, number) for number in range(1, 5)]

    assert {reply.status for reply in told} == {201}
    assert [line["id"] for line in replica.events("fault")] == ["r-3"]
    assert stored(base) == {"k-1", "k-2", "k-3", "k-3-again", "k-4"}
    executed = base.query("select request_id, count(*) from lab_executions group by 1 order by 1")
    assert executed == [("r-1", 1), ("r-2", 1), ("r-3", 2), ("r-4", 1)]


def test_a_loss_is_done_before_the_replica_ends(start_app, base) -> None:
    replica = start_app(base.conninfo, "v1", faults="loses-writes")
    for number in range(1, 4):
        write(replica, number)
    replica.terminate()
    assert replica.ended() == 0
    assert [line["id"] for line in replica.events("fault")] == ["r-3"]
    assert stored(base) == {"k-1", "k-2"}
