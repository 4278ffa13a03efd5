"""Blame: what a dropped request carries, and how the first of each class is told."""

from dataclasses import replace

from lab.proof import Step
from lab.report import render_text
from tests.golden_files import check
from tests.unit.proof_world import SECOND, START, Story, Try, good_write, tell
from tests.unit.report_world import verdict_and_report


def test_a_drop_carries_what_a_person_needs_to_find_its_cause() -> None:
    tries = (
        Try(replica="app-2.1", result="connect_failed", sent=False, begun=False, answered=False),
        Try(replica="app-1.2", result="closed_before_response", answered=False),
    )
    steps = (
        Step(name="drain", replica="app-1.1", start_ns=START, end_ns=START + 3 * SECOND),
        Step(name="stop", replica="app-2.1", start_ns=START + 2 * SECOND, end_ns=START + 3 * SECOND),
        Step(name="create", replica="app-3.2", start_ns=START + 4 * SECOND, end_ns=START + 5 * SECOND),
        Step(name="schema expanded", start_ns=START - SECOND, end_ns=START + 3 * SECOND),
    )
    story = Story(outcome="reset", tries=tries, sent_late=2_000_000, took=20_000_000)
    (drop,) = tell(story, at=START + 2 * SECOND + SECOND // 2, steps=steps).verdict().drops
    assert (drop.due_s, drop.sent_s, drop.when_s) == (2.5, 2.502, 2.52)
    assert [(t.number, t.replica, t.generation, t.version, t.result) for t in drop.attempts] == [
        (1, "app-2.1", 1, "v1", "connect_failed"),
        (2, "app-1.2", 2, "v2", "closed_before_response"),
    ]
    assert drop.doing == ("schema expanded", "drain app-1.1", "stop app-2.1")


def test_what_ran_out_of_time_is_told_by_what_was_done_when_it_was_tried() -> None:
    stop = Step(name="stop", replica="app-1.1", start_ns=START + 2 * SECOND, end_ns=START + 3 * SECOND)
    late = Step(name="create", replica="app-3.2", start_ns=START + 30 * SECOND, end_ns=START + 40 * SECOND)
    story = Story(outcome="timeout", tries=(Try(result="client_gone", answered=False),), took=30 * SECOND)
    (drop,) = tell(story, steps=(stop, late)).verdict().drops
    assert (drop.when_s, drop.doing) == (32.5, ("stop app-1.1",))


def test_the_first_of_each_class_is_told_with_its_story() -> None:
    check("report/stories", render_text(verdict_and_report(drops=True)[0]))


def test_a_write_that_happened_twice_is_told_with_its_executions() -> None:
    twice = replace(good_write(), tries=(Try(executed=2),))
    text = render_text(tell(twice, twice, at=START + SECOND // 2).verdict())
    assert "first D8 duplicate of 2: POST /parcels (r1-write-0)" in text
    assert "app: the replica says that it answered; 2 executions" in text
    assert "controller: nothing under way" in text
