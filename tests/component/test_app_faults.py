"""The variants that pass every probe and are bad all the same."""

import http.client
import json

import jsonschema
import pytest

from sample_app.faults import DEATH_CODE, SECONDS_TO_LIVE


@pytest.fixture
def base(schema):
    return schema.to("base")


def test_dies_after_ready_serves_and_then_ends_by_itself_with_a_code(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo, "v2", faults="dies-after-ready")
    first = replica.until("/readyz", lambda reply: reply.data["ready"])
    assert first.status == 200
    assert replica.ask("GET", "/version", request_id="served").status == 200
    slow = in_background(replica.ask, "GET", "/slow?seconds=30", request_id="cut")
    replica.logged("begin", id="cut")

    assert replica.ended() == DEATH_CODE
    assert replica.unanswered() == ["cut"]
    with pytest.raises((http.client.HTTPException, OSError)):
        slow.result()
    assert replica.log[-1]["e"] == "exit"
    assert (replica.log[-1]["t"] - replica.logged("ready")["t"]) / 1e9 > SECONDS_TO_LIVE - 0.1


def test_dies_after_ready_lives_as_long_as_nobody_asks_whether_it_is_ready(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo, "v2", faults="dies-after-ready")

    assert in_background(replica.ask, "GET", f"/slow?seconds={SECONDS_TO_LIVE + 0.3}").result().status == 200
    assert replica.process.poll() is None


def test_answers_errors_fails_every_third_request_and_never_a_probe(start_app, base, root) -> None:
    replica = start_app(base.conninfo, "v2", faults="answers-errors")
    told = []
    for number in range(9):
        told.append(replica.ask("GET", "/version", request_id=f"r-{number}"))
        probes = [replica.ask("GET", path) for path in ("/readyz", "/livez")]
        assert [probe.status for probe in probes] == [200, 200]

    assert [reply.status for reply in told] == [200, 200, 500] * 3
    assert told[2].error["code"] == "answers-errors"
    assert told[2].headers["X-Lab-Version"] == "v2-test"
    assert "X-Lab-Error" not in told[2].headers
    assert [line["status"] for line in replica.events("end")] == [200, 200, 500] * 3
    schema = json.loads((root / "docs/reference/schemas/app-log.schema.json").read_text())
    for line in replica.log:
        jsonschema.validate(line, schema)


def test_a_write_that_answers_errors_is_not_done(start_app, base) -> None:
    replica = start_app(base.conninfo, "v1", faults="answers-errors")
    for number in range(6):
        replica.ask("POST", "/parcels", {"key": f"k{number}", "recipient_name": "A", "address": "1"})

    assert base.query("select count(*) from lab_executions") == [(4,)]
    assert base.query("select key from parcels order by key") == [("k0",), ("k1",), ("k3",), ("k4",)]
