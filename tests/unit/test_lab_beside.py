"""A step of the schema that another command takes while a run goes on belongs to the run's course too."""

from lab.operations.timeline import beside, steps_of
from lab.ports import Event

HOST = 10**12
"""Another clock than the run's."""


def event(type: str, second: int, t_ns: int, *, run: str = "r1", **data: object) -> Event:
    return Event(seq=second, type=type, run=run, t_ns=t_ns, wall=f"2026-01-01T00:00:{second:02}.500+00:00", data=data)


RUN = [event("run-started", 10, 1_000), event("run-ended", 30, 20_000_001_000)]


def migrated(second: int, what: str) -> Event:
    return event("schema-step", second, HOST + second, run="", phase="expanded", what=what)


def test_it_stands_at_its_time_by_the_runs_clock() -> None:
    (step,) = steps_of(beside(RUN, [migrated(12, "begins"), migrated(15, "done")]))

    assert (step.name, step.start_ns, step.end_ns) == ("schema expanded", 2_000_001_000, 5_000_001_000)


def test_what_came_before_or_after_the_run_is_none_of_it() -> None:
    assert steps_of(beside(RUN, [migrated(8, "begins"), migrated(9, "done")])) == ()
    assert steps_of(beside(RUN, [migrated(31, "begins"), migrated(32, "done")])) == ()
    assert beside([], [migrated(12, "begins")]) == []
