"""What was lost on the wire is known by the app's own times and those of whoever pulled the cable."""

import json

import pytest

from tests.cut_network import Outage
from tests.wire_truth import Instant, answered_elsewhere, ended_within, unanswered_in, visits_of

OFF = Outage(replica="app-1.1", off_after=100, off_by=110, on=200)


def line(e: str, request: str, t: int, *, attempt: int = 1) -> bytes:
    about = {"path": "/parcels"} if e == "begin" else {}
    row = {"e": e, "id": f"r1-{request}", "attempt": attempt, **about, "t": t}
    return json.dumps(row, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("begun", "ended", "lost", "doubtful"),
    [
        (90, 99, False, False),
        (90, 105, False, True),
        (90, 111, True, False),
        (90, None, True, False),
        (90, 900, True, False),
        (150, 160, True, False),
        (201, 205, False, False),
    ],
)
def test_only_what_was_open_while_it_was_off_was_lost(
    begun: int, ended: int | None, *, lost: bool, doubtful: bool
) -> None:
    lines = [line("begin", "read-1", begun)] + ([] if ended is None else [line("end", "read-1", ended)])
    visits = visits_of({"app-1.1": lines}, "r1")
    instant = Instant(replica="app-1.1", began=OFF.off_after, ended=OFF.off_by)
    assert (unanswered_in([OFF], visits) == {"r1-read-1"}) is lost
    assert (ended_within([instant], visits) == {"r1-read-1"}) is doubtful
    other = visits_of({"app-2.1": lines}, "r1")
    assert (unanswered_in([OFF], other), ended_within([instant], other)) == (frozenset(), frozenset())


def test_what_another_replica_answered_came_through_and_what_the_same_one_answered_while_it_was_off_did_not() -> None:
    lost = [line("begin", "read-1", 90), line("end", "read-1", 120), line("begin", "read-2", 90)]
    again = [line("begin", "read-1", 130, attempt=2), line("end", "read-1", 140, attempt=2)]
    visits = visits_of({"app-1.1": lost, "app-2.1": again}, "r1")
    assert unanswered_in([OFF], visits) == {"r1-read-1", "r1-read-2"}
    assert answered_elsewhere([OFF], visits) == {"r1-read-1"}
