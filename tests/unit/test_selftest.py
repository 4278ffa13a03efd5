"""The self-test's own arithmetic: what the app said against what the verdict found, and no way to pass by chance."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema

from lab.proof import Class, Verdict
from lab.selftest import (
    Harm,
    Row,
    Table,
    asked_again,
    left_unanswered,
    rows_of,
    table_text,
    table_to_json,
    wrong_writes,
)
from tests import golden_files
from tests.unit.proof_world import Story, Try, good, tell

LOST = Try(result="closed_before_response", answered=False)
SCHEMA = Path(__file__).parents[2] / "docs/reference/schemas/selftest.schema.json"


def log(*rows: dict[str, object]) -> list[bytes]:
    return [json.dumps(row, separators=(",", ":")).encode() for row in rows]


def begin(request: str, path: str = "/parcels", attempt: int = 1) -> dict[str, object]:
    return {"e": "begin", "id": request, "attempt": attempt, "path": path}


def end(request: str, attempt: int = 1) -> dict[str, object]:
    return {"e": "end", "id": request, "attempt": attempt}


def broken(outcome: str = "server_error") -> Verdict:
    """One dropped, one masked, two good."""
    return tell(Story(outcome=outcome, tries=(LOST,)), Story(tries=(LOST, Try(replica="app-2.1"))), good()).verdict()


def harm(truth: dict[Class, frozenset[str]], **changes: object) -> Harm:
    return replace(Harm(control="a fault", known_from="its own count", truth=truth), **changes)


DROPPED, MASKED = frozenset({"r1-read-0"}), frozenset({"r1-read-1"})
TRUTH = {Class.SERVER_ERROR: DROPPED, Class.MASKED: MASKED}


def test_what_was_left_unanswered_is_told_by_what_became_of_it() -> None:
    logs = [
        log(begin("r1-a-1"), end("r1-a-1"), begin("r1-a-2"), begin("r1-s-3", "/stream?events=3"), begin("r1-a-4")),
        [b"a traceback\n", *log(begin("r1-a-4", attempt=2), end("r1-a-4", 2), begin("r2-a-9"))],
        log(begin("r1-a-5", attempt=2), end("r1-a-5", 2)),  # its first attempt was at the socket of what was killed
    ]
    assert left_unanswered(logs, "r1") == {
        Class.SERVER_ERROR: {"r1-a-2"},
        Class.TRUNCATED: {"r1-s-3"},
        Class.MASKED: {"r1-a-4", "r1-a-5"},
    }


def test_what_was_sent_again_and_not_begun_before_is_told_apart() -> None:
    logs = [
        log(begin("r1-a-1"), begin("r1-a-2", attempt=2), end("r1-a-2", 2), begin("r1-a-1", attempt=2), end("r1-a-1", 2))
    ]
    assert asked_again(logs, "r1") == {"r1-a-2"}


def test_wrong_writes_are_those_that_the_app_itself_names() -> None:
    rows = log(begin("r1-w-1"), {"e": "fault", "id": "r1-w-1", "fault": "loses-writes"}, end("r1-w-1"))
    rows += log({"e": "fault", "id": "r2-w-1", "fault": "loses-writes"})
    assert wrong_writes([rows], "r1", "loses-writes") == {"r1-w-1"}
    assert wrong_writes([rows], "r1", "writes-twice") == frozenset()


def test_a_harm_that_is_found_to_the_last_request_is_ok() -> None:
    rows = rows_of(harm(TRUTH), broken())
    assert [(row.cls, row.expected, row.found, row.ok) for row in rows] == [
        (Class.MASKED, 1, 1, True),
        (Class.SERVER_ERROR, 1, 1, True),
    ]


def test_the_right_number_of_the_wrong_requests_is_missed() -> None:
    (_, row) = rows_of(harm({**TRUTH, Class.SERVER_ERROR: frozenset({"r1-read-2"})}), broken())
    assert (row.expected, row.found, row.ok) == (1, 1, False)
    assert (row.missed, row.invented) == (("r1-read-2",), ("r1-read-0",))


def test_a_class_that_was_not_harmed_and_is_found_is_missed() -> None:
    rows = rows_of(harm({Class.MASKED: MASKED}), broken("timeout"))
    assert [(row.cls, row.expected, row.found, row.ok) for row in rows] == [
        (Class.MASKED, 1, 1, True),
        (Class.TIMEOUT, 0, 1, False),
    ]


def test_one_more_or_less_masked_is_missed() -> None:
    for masked in (frozenset(), frozenset({"r1-read-1", "r1-read-2"})):
        row = rows_of(harm({**TRUTH, Class.MASKED: masked}), broken())[0]
        assert (row.cls, row.ok) == (Class.MASKED, False)


def test_a_control_that_harmed_nothing_proves_nothing() -> None:
    (row,) = rows_of(harm({Class.LOST_WRITE: frozenset()}), tell(good()).verdict())
    assert (row.ok, row.why) == (False, "nothing was harmed, so nothing could be found")


def test_the_negative_control_must_be_clean_and_have_its_verdict() -> None:
    nothing = harm({}, some=False)
    assert [row.ok for row in rows_of(nothing, tell(good()).verdict())] == [True]
    assert [row.ok for row in rows_of(nothing, broken())] == [False, False]
    (row,) = rows_of(nothing, tell(good(), min_requests=100).verdict())
    assert (row.ok, row.why) == (False, "too few requests to tell: 1 of the 100 wanted")


def test_a_fault_that_leaves_no_mark_on_the_verdict_is_missed() -> None:
    marked = tell(Story(outcome="server_error", tries=(LOST,)), marks=("cut-switch",)).verdict()
    wanted = harm({Class.SERVER_ERROR: DROPPED}, mark="cut-switch")
    assert [row.ok for row in rows_of(wanted, marked)] == [True]
    (row,) = rows_of(replace(wanted, mark="skip-drain"), marked)
    assert (row.ok, row.why) == (False, "the verdict is not marked with skip-drain")


def test_no_control_at_all_is_no_pass() -> None:
    assert not Table(rows=(), requests=0, seconds=0.0).ok


def test_the_table_shows_every_control_and_names_what_was_missed() -> None:
    table = Table(rows=_rows(), requests=2032, seconds=58.3, folder=".lab/default-selftest/runs")
    golden_files.check("lab/selftest", table_text(table))
    golden_files.check("lab/selftest_ok", table_text(replace(table, rows=_rows()[:2])))
    jsonschema.validate(table_to_json(table), json.loads(SCHEMA.read_text()))


def _rows() -> tuple[Row, ...]:
    nothing = harm({}, some=False, control="no roll", known_from="nothing was done")
    drained = harm({Class.SERVER_ERROR: DROPPED}, control="drain off", known_from="the app's own log")
    ids = frozenset(f"r1-write-{number}" for number in range(5))
    lost = harm({Class.LOST_WRITE: ids}, control="an app that loses writes", known_from="the app's own log")
    only_dropped = tell(Story(outcome="server_error", tries=(LOST,))).verdict()
    clean = tell(good()).verdict()
    return (*rows_of(nothing, clean), *rows_of(drained, only_dropped), *rows_of(lost, clean))
