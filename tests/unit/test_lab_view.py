"""The fleet's table and every line of progress as people see them, and the same as JSON."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lab.model import Check, Container, EjectedBy, Health, Place, Probe, Replica
from lab.ports import Event, Hold
from lab.view import FleetView, fleet_table, hold_note, progress_line, replica_view, state_of
from tests.golden_files import check

SECOND = 1_000_000_000
NOW = 100 * SECOND
SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"


def replica(name: str, **more: object) -> Replica:
    slot, generation = (int(part) for part in name.split("."))
    base: dict[str, object] = {"version": f"v{generation}", "container": Container.RUNNING, "place": Place.READY}
    return Replica(name=f"app-{name}", slot=slot, generation=generation, revision=1, **(base | more))  # type: ignore[arg-type]


def probe(status: int | None, body: str = "", error: str = "") -> Probe:
    return Probe(ok=False, status=status, body=body, error=error)


NOT_READY = probe(503, '{"ready": false,\n "detail": "' + "still loading, " * 9 + '"}', "status 503, not 200")
MISTAKEN = probe(200, '{"ready": true}', "the answer is from app-9.1, not from app-4.2 (header X-Lab-Replica)")
GONE, EXITED = {"container": Container.EXITED}, {"container": Container.EXITED, "place": None}
EVERY_STATE = (
    replica("1.1", in_flight=12),
    replica("1.2", place=Place.JOINING),
    replica("2.1", place=Place.DRAINING, in_flight=3, deadline_ns=NOW + 12 * SECOND),
    replica("2.2", place=Place.JOINING, probe=NOT_READY),
    replica("3.1", place=Place.DRAINING, in_flight=1, deadline_ns=NOW - SECOND),
    replica("3.2", place=Place.JOINING, probe=probe(None, error="no whole answer within 1000 ms")),
    replica("3.3", place=Place.DRAINING, in_flight=4, streams=1, websockets=2, deadline_ns=NOW + 9 * SECOND),
    replica("4.1", place=Place.REMOVABLE),
    replica("4.2", place=Place.JOINING, probe=MISTAKEN),
    replica("4.3", place=Place.JOINING, proven=True, check=Check.STARTING),
    replica("4.4", place=Place.JOINING, check=Check.UNHEALTHY, check_said="cannot reach the queue"),
    replica("5.1", health=Health.EJECTED, in_flight=1),
    replica("5.2", health=Health.EJECTED, ejected_by=EjectedBy.ERRORS),
    replica("5.3", health=Health.EJECTED, ejected_by=EjectedBy.PROBE, probe=probe(None, error="refused")),
    replica("5.4", health=Health.UNPROVEN),
    replica("6.1", **EXITED, exit_code=0),
    replica("7.1", **GONE, exit_code=137, oom=True),
    replica("8.1", **GONE),
    replica("9.1", place=None),
    replica("10.1", place=None, container=Container.CREATED),
    replica("11.1", container=Container.EXITED, place=Place.REMOVABLE, exit_code=0),
)


def view(*replicas: Replica, **more: object) -> FleetView:
    base: dict[str, object] = {
        "project": "default",
        "phase": "idle",
        "version": "v1",
        "replicas_wanted": 3,
        "ready": sum(r.available for r in replicas),
        "schema_phase": "base",
        "url": "http://127.0.0.1:8080",
    }
    return FleetView(**(base | more), replicas=tuple(replica_view(r, NOW) for r in replicas))  # type: ignore[arg-type]


ROLLING = view(*EVERY_STATE, phase="rolling", replicas_wanted=10, notes=("the rollout r1 has not ended", "another"))
VIEWS = {
    "idle": view(replica("1.1"), replica("2.1", in_flight=104), replica("3.2")),
    "every_state": ROLLING,
    "nothing": view(version=None, schema_phase=None, replicas_wanted=0),
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_fleet_reads_as_its_golden_file(name: str) -> None:
    check(f"lab/fleet_{name}", "\n".join(fleet_table(VIEWS[name])) + "\n")


@pytest.mark.parametrize("name", VIEWS)
def test_the_same_as_json_fits_its_schema(name: str) -> None:
    schema = json.loads((SCHEMAS / "status.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    data = json.loads(json.dumps(VIEWS[name].to_json()))

    Draft202012Validator(schema).validate(data)
    assert data["schema"] == "lab.status/1" == schema["$id"]
    assert set(data) == set(schema["properties"])


def test_json_and_the_table_tell_the_same_replicas() -> None:
    data = json.loads(json.dumps(ROLLING.to_json()))

    assert [r["name"] for r in data["replicas"]] == [r.name for r in EVERY_STATE]
    assert {r["state"] for r in data["replicas"]} == {state_of(r) for r in EVERY_STATE}


def test_every_state_of_a_replica_has_a_mark() -> None:
    rows = fleet_table(ROLLING)[2:-2]

    assert len(rows) == len(EVERY_STATE)
    assert not [row for row in rows if not set(row) & set("✔◌◐✖")]


def test_requests_that_wait_in_the_proxy_are_told() -> None:
    assert hold_note(Hold()) is None
    assert hold_note(Hold(held=3, oldest_ms=1234)) == (
        "requests wait in the proxy for a ready replica: 3, the oldest since 1.2s"
    )
    assert hold_note(Hold(on=True)) == "requests wait in the proxy until they are released: 0"


def about(name: str, verb: str, **more: object) -> dict[str, object]:
    slot, generation = (int(part) for part in name.split("."))
    return {"verb": verb, "replica": f"app-{name}", "slot": slot, "generation": generation, "version": "v1", **more}


def line(type: str, seconds: float, /, **data: object) -> str | None:
    return progress_line(Event(type=type, run="r", t_ns=NOW + round(seconds * SECOND), data=data), NOW)


def turn(happening: str, cause: str, reason: str = "", serving: int = 0) -> dict[str, object]:
    counted = {"serving": serving, "requests": 0, "errors": 0}
    return {"happening": happening, "phase": "rolling", "cause": cause, "reason": reason, "target": 2, **counted}


STARTED = {"replicas": 3, "target": 2, "spec": {"surge": 1, "unavailable": 0, "strategy": "waves"}}
DIED = {"replica": "app-2.1", "version": "v1", "oom": False, "in_flight": 7}
SHOWN = [
    line("rollout-started", 0, kind="up", **{"from": None, "to": "v1"}, **STARTED),
    line("load-started", 0.02, rate=100.0, replicas=3, seed=1),
    line("schema-step", 0.1, phase="expanded", what="begins"),
    line("schema-step", 0.4, phase="expanded", what="done"),
    line("mix-seen", 0.5, fault="stale", writer="v2", reader="v1", count=3),
    line("rollout-started", 3, kind="roll", **{"from": "v1", "to": "v2-never-ready"}, **STARTED),
    line("act-done", 3.6, **about("1.2", "start")),
    line("act-done", 3.7, **about("1.2", "join", epoch=4)),
    line("act-done", 4.9, **about("1.2", "admit", epoch=5)),
    line("act-intended", 4.95, **about("1.1", "retire", in_flight=5)),
    line("act-done", 6, **about("1.1", "stop", exit_code=0, oom=False, aborted=0)),
    line("act-done", 36, **about("1.1", "stop", exit_code=137, oom=False, aborted=2)),
    line("act-done", 36, **about("1.1", "stop", exit_code=0, oom=False, aborted=2, cut=3)),
    line("act-done", 36, **about("1.1", "stop", exit_code=0, oom=False, aborted=0, cut=1)),
    line("act-done", 46, **about("1.1", "stop", exit_code=137, oom=False, aborted=0, overstayed=True)),
    line("act-done", 36, **about("10.12", "stop", exit_code=None, oom=False, aborted=0)),
    line("act-done", 6.1, **about("1.1", "delete")),
    line("act-done", 7, **about("1.1", "restore", epoch=9)),
    line("waiting", 17, on="app-1.2 to become ready", left=23.4),
    line("waiting", 27, on="the fleet to settle", left=None),
    line("replica-died", 40, **DIED, exit_code=137),
    line("replica-died", 41, **(DIED | {"oom": True}), exit_code=137),
    line("replica-died", 42, **DIED, exit_code=None),
    line("version-failed", 43, reason="app-1.2 never became ready within 30s", where="", detail="", log=[]),
    line("turned-back", 43, revision=1, version="v1", reason="app-1.2 never became ready within 30s"),
    line("phase-changed", 50, **turn("wave-serves", "version", serving=1)),
    line("phase-changed", 57, **turn("baked", "gate", "error-ratio 0.00% (0 of 213 requests), limit 5.00%")),
    line("phase-changed", 58, **turn("held", "environment", "the daemon does not answer")),
    line("phase-changed", 59, **turn("released", "environment", "trying again")),
    line("phase-changed", 60, **turn("paused", "environment", "the daemon does not answer")),
    line("phase-changed", 60, **turn("paused", "version", "app-1.2 never became ready within 30s")),
    line("phase-changed", 61, **turn("resumed", "operator", "asked by an operator")),
    line("phase-changed", 62, **turn("aborted", "operator", "asked by an operator")),
    line("phase-changed", 63, **turn("aborted", "version", "app-1.2 never became ready within 30s")),
    line("phase-changed", 64, **turn("failed", "stall", "no progress for 600s: the fleet to settle")),
    line("try-failed", 70, slot=1, replica="app-1.2", reason="never became ready within 30s", last=False, revision=2),
    line("try-failed", 71, slot=1, replica="app-1.3", reason="never became ready within 30s", last=True, revision=2),
    line(
        "try-failed",
        72,
        slot=1,
        replica="",
        reason="died after it was ready, 4 deaths in its slot",
        last=True,
        revision=2,
    ),
    line("asked", 80, number=1, command="pause", replicas=None, to=None),
    line("asked", 81, number=2, command="scale", replicas=5, to=None),
    line("asked", 82, number=3, command="rollback", replicas=None, to=4),
    line("refused", 83, command="resume", why="cannot resume a rollout that is rolling", answers=1),
    line("scaled", 84, replicas=5, filled_old=[4], answers=2),
    line("looked-away", 90, seconds=75.4),
    line("looked-away", 91, seconds=-3600.0),
    line("act-done", 12345.6, **about("1.1", "admit", epoch=5)),
]


def test_every_line_of_progress_reads_as_its_golden_file() -> None:
    assert None not in SHOWN
    check("lab/progress", "\n".join(map(str, SHOWN)) + "\n")


HIDDEN = [
    ("act-intended", about("1.2", "create", in_flight=0)),
    ("act-done", about("1.2", "create", container="3f9c12")),
    ("act-intended", about("1.1", "stop", in_flight=0)),
    ("act-done", about("1.1", "retire", epoch=3)),
    ("act-done", about("1.1", "unroute", epoch=3)),
    ("act-done", about("1.2", "admit", refused="not-proven")),
    ("rollout-ended", {"ending": "done"}),
    ("revision-recorded", {"number": 1}),
    ("lab-removed", {"removed": 3}),
    ("phase-changed", turn("reached", "version")),
    ("phase-changed", turn("turned-back", "gate", "error-ratio 33.33% (20 of 60 requests), limit 5.00%")),
    ("phase-changed", turn("failed", "version", "app-1.2 never became ready within 30s")),
    ("something-newer", {}),
]


@pytest.mark.parametrize(("type", "data"), HIDDEN)
def test_what_a_person_need_not_see_is_no_line(type: str, data: dict[str, object]) -> None:
    assert line(type, 1, **data) is None
