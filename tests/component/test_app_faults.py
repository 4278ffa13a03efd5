"""The variants of the app that are bad on purpose: each does what its name says, and its log says that it did."""

import contextlib
import http.client
import json
import socket
import time
from pathlib import Path

import jsonschema
import pytest

from sample_app.faults import Fault
from sample_app.faults.chosen import FIGURES
from sample_app.faults.process import CRASH_CODE, DEATH_CODE

SECONDS_TO_LIVE = FIGURES[Fault.DIES_AFTER_READY]


@pytest.fixture(scope="module")
def base(new_schema):
    return new_schema().to("base")


@pytest.fixture
def fresh(schema):
    return schema.to("base")


def fired(replica, fault):
    return [line for line in replica.events("fault") if line["fault"] == fault]


def told_ready(replica):
    """A probe is what lights the fuse."""
    assert replica.until("/readyz", lambda reply: reply.data["ready"]).status == 200


def statuses(replica, many):
    return [replica.ask("GET", "/version", request_id=f"r-{number}").status for number in range(many)]


# at the start


def test_crashes_on_start_ends_before_it_listens(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="crashes-on-start", ready=False)

    assert replica.ended() == CRASH_CODE
    assert [line["e"] for line in replica.log] == ["fault", "exit"]


def test_slow_start_listens_late_and_then_is_as_good_as_any(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="slow-start=0.7")

    assert (replica.logged("start")["t"] - fired(replica, "slow-start")[0]["t"]) / 1e9 >= 0.7
    assert statuses(replica, 3) == [200] * 3


def test_a_slow_start_is_over_when_it_is_told_to_stop(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="slow-start=3000", ready=False)
    replica.logged("fault")
    replica.terminate()

    assert replica.ended() == 0


# readiness


def test_never_ready_and_checks_schema_say_that_they_fired_once(start_app, base) -> None:
    for fault in ("never-ready", "checks-schema"):
        replica = start_app(base.conninfo, "v2", faults=fault, ready=False)
        replica.logged("fault")
        assert [replica.ask("GET", "/readyz").status for _ in range(3)] == [503] * 3
        assert len(fired(replica, fault)) == 1
        assert statuses(replica, 1) == [200], "it is its readiness that is bad"


def test_flaps_is_ready_and_not_ready_in_turn(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="flaps=0.1", ready=False)
    for ready in (True, False, True, False, True):
        replica.until("/readyz", lambda reply, ready=ready: reply.data["ready"] is ready)

    assert len(fired(replica, "flaps")) >= 2


# some time after it was ready


def test_dies_after_ready_serves_and_then_ends_by_itself_with_a_code(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo, "v2", faults="dies-after-ready")
    told_ready(replica)
    assert replica.ask("GET", "/version", request_id="served").status == 200
    slow = in_background(replica.ask, "GET", "/slow?seconds=30", request_id="cut")
    replica.logged("begin", id="cut")

    assert replica.ended() == DEATH_CODE
    assert replica.unanswered() == ["cut"]
    with pytest.raises((http.client.HTTPException, OSError)):
        slow.result()
    assert [line["e"] for line in replica.log[-2:]] == ["fault", "exit"]
    assert (replica.log[-1]["t"] - replica.logged("ready")["t"]) / 1e9 > SECONDS_TO_LIVE - 0.1


def test_dies_after_ready_lives_as_long_as_nobody_asks_whether_it_is_ready(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo, "v2", faults="dies-after-ready")

    assert in_background(replica.ask, "GET", f"/slow?seconds={SECONDS_TO_LIVE + 0.3}").result().status == 200
    assert replica.process.poll() is None


def test_hangs_accepts_and_never_answers_probes_neither(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="hangs=0.1")
    told_ready(replica)
    with contextlib.suppress(TimeoutError):
        while True:
            asked_in_time(replica, "/version")
    replica.logged("fault", fault="hangs")

    with pytest.raises(TimeoutError):
        asked_in_time(replica, "/readyz")


def asked_in_time(replica, path):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", replica.port, timeout=0.5)) as connection:
        connection.request("GET", path)
        connection.getresponse().read()


def test_stalls_stands_still_and_goes_on(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="stalls=0.6")
    told_ready(replica)
    began = replica.logged("fault", fault="stalls")["t"]

    assert replica.ask("GET", "/livez").status == 200
    assert (time.monotonic_ns() - began) / 1e9 >= 0.6
    assert statuses(replica, 2) == [200] * 2


def test_leaks_memory_grows_from_when_it_was_ready(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="leaks-memory=1000")
    before = resident_mib(replica)
    told_ready(replica)
    replica.logged("fault", fault="leaks-memory")
    while len(fired(replica, "leaks-memory")) < 5:
        assert statuses(replica, 1) == [200]

    assert resident_mib(replica) - before > 4 * 16 - 1


def resident_mib(replica) -> float:
    status = Path(f"/proc/{replica.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


# at the end


def test_ignores_sigterm_serves_on(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="ignores-sigterm")
    replica.terminate()
    replica.logged("fault", fault="ignores-sigterm")

    assert statuses(replica, 3) == [200] * 3
    assert replica.process.poll() is None


# requests


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
    assert [line["id"] for line in fired(replica, "answers-errors")] == ["r-2", "r-5", "r-8"]
    schema = json.loads((root / "docs/reference/schemas/app-log.schema.json").read_text())
    for line in replica.log:
        jsonschema.validate(line, schema)


def test_always_errors_answers_nothing_else_and_every_probe(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="always-errors")

    assert statuses(replica, 5) == [500] * 5
    assert replica.ask("GET", "/readyz").status == 200
    assert len(fired(replica, "always-errors")) == 5


def test_the_share_of_errors_is_drawn_by_its_seed(start_app, base) -> None:
    def drawn(**extra):
        replica = start_app(base.conninfo, "v2", faults="error-ratio=0.3", LAB_REPLICA="app-1.1", **extra)
        told = statuses(replica, 60)
        assert told.count(500) == len(fired(replica, "error-ratio"))
        return told

    first = drawn()
    assert 5 < first.count(500) < 35
    assert drawn() == first
    assert drawn(APP_FAULT_SEED="2") != first


def test_adds_latency_delays_every_request_and_no_probe(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="adds-latency=0.2")
    began = time.monotonic()
    assert statuses(replica, 3) == [200] * 3

    assert time.monotonic() - began >= 0.6
    assert replica.ask("GET", "/readyz").status == 200
    assert len(fired(replica, "adds-latency")) == 3


def test_closes_keepalive_closes_what_was_idle_for_a_moment(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="closes-keepalive")
    with contextlib.closing(replica.connect()) as kept:
        replica.ask("GET", "/version", on=kept)
        assert isinstance(kept.sock, socket.socket)
        assert kept.sock.recv(1) == b""

    assert len(fired(replica, "closes-keepalive")) == 1


def test_a_write_that_answers_errors_is_not_done(start_app, fresh) -> None:
    replica = start_app(fresh.conninfo, "v1", faults="answers-errors")
    for number in range(6):
        replica.ask("POST", "/parcels", {"key": f"k{number}", "recipient_name": "A", "address": "1"})

    assert fresh.query("select count(*) from lab_executions") == [(4,)]
    assert fresh.query("select key from parcels order by key") == [("k0",), ("k1",), ("k3",), ("k4",)]
