"""A roll of two replicas, second by second: its ledgers and its journal, as the lab would have written them."""

from collections.abc import Iterator
from typing import Any

from lab.operations.timeline import services_of, steps_of, swaps_of
from lab.ports import Event
from lab.proof import Outcome, Verdict, read_client
from lab.report import Report, report_of
from tests.unit.proof_world import SECOND, START, Story, Try, World, ledger, tell

SPEC = {"strategy": "waves", "surge": 1, "unavailable": 0, "bake": 2.0, "on_fail": "rollback"}
SPEC |= {"gates": [{"measure": "error-ratio", "limit": 0.05, "minimum": 50}]}
COURSE = (
    (-2.0, "load-started", {"rate": 150.0, "replicas": 2, "seed": 1}),
    (0.0, "schema-step", {"phase": "expanded", "what": "begins"}),
    (0.2, "schema-step", {"phase": "expanded", "what": "done"}),
    (0.3, "rollout-started", {"kind": "roll", "replicas": 2, "target": 2, "from": "v1", "to": "v2", "spec": SPEC}),
    (0.4, "act-intended", ("create", "app-1.2", 2)),
    (1.9, "act-intended", ("admit", "app-1.2", 2)),
    (2.0, "act-done", ("admit", "app-1.2", 2)),
    (2.1, "act-intended", ("retire", "app-1.1", 1)),
    (2.2, "act-done", ("retire", "app-1.1", 1)),
    (3.0, "act-intended", ("stop", "app-1.1", 1)),
    (3.2, "act-done", ("stop", "app-1.1", 1)),
    (3.3, "act-intended", ("create", "app-2.2", 2)),
    (4.9, "act-intended", ("admit", "app-2.2", 2)),
    (5.0, "act-done", ("admit", "app-2.2", 2)),
    (5.1, "act-intended", ("retire", "app-2.1", 1)),
    (5.2, "act-done", ("retire", "app-2.1", 1)),
    (6.0, "act-intended", ("stop", "app-2.1", 1)),
    (6.2, "act-done", ("stop", "app-2.1", 1)),
    (6.4, "rollout-ended", {"ending": "done", "reached": 2, "reason": ""}),
)


def events() -> list[Event]:
    return [
        Event(
            seq=number,
            type=type,
            run="r1",
            t_ns=START + round(at * 1000) * 1_000_000,
            wall="2026-01-02T03:04:05.000+00:00",
            data=data if isinstance(data, dict) else act(*data),
        )
        for number, (at, type, data) in enumerate(COURSE, start=1)
    ]


def act(verb: str, replica: str, revision: int) -> dict[str, Any]:
    where = {"slot": int(replica[4]), "generation": int(replica[6]), "revision": revision, "version": f"v{revision}"}
    return {"verb": verb, "replica": replica, **where, "in_flight": 3, "exit_code": 0}


def stories() -> Iterator[Story]:
    """50 requests a second, a millisecond apart at each second's begin; each second one that lasts for two."""
    for second in range(-2, 9):
        old, new = ("app-1.1" if second < 2 else "app-2.1"), ("app-2.2" if second >= 5 else "app-1.2")
        for number in range(50):
            replica = old if second < 2 or (second < 5 and number % 2) else new
            later = (second + 2) * SECOND - ((second + 2) * 50) * 1_000_000
            took = (8 + number % 5) * 1_000_000
            if number == 0:
                yield Story(cohort="slow", took=2 * SECOND, tries=(Try(replica=replica),), later=later)
            else:
                yield Story(took=took, tries=(Try(replica=replica),), later=later)


def world(*, drops: bool = False) -> World:
    told = list(stories())
    if drops:
        told[4 * 50 + 7] = Story(
            outcome="reset",
            tries=(Try(replica="app-1.1", result="closed_before_response", answered=False),),
            detail="waiting for the first byte: the connection <was> closed | `rm`",
            later=told[4 * 50 + 7].later,
        )
        told[4 * 50 + 9] = Story(
            outcome="server_error", status=503, rejected="no-ready-replica", later=told[4 * 50 + 9].later
        )
    happened = events()
    return tell(
        *told,
        at=START - 2 * SECOND,
        started_ns=START,
        ended_ns=START + 6_400_000_000,
        rollout=Outcome.DONE,
        min_requests=100,
        steps=steps_of(happened),
        swaps=swaps_of(happened),
        services=services_of(happened),
        earlier=(False,) * 9,
    )


def verdict_and_report(*, drops: bool = False) -> tuple[Verdict, Report]:
    made = world(drops=drops)
    verdict = made.verdict()
    return verdict, report_of(verdict, read_client(ledger(made.client)), events())
