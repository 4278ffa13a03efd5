"""Which step a drop is told with: the one that went on, else the last that was over."""

import pytest

from lab.proof import Step
from lab.proof.steps import phase_at, step_at, under_way
from tests.unit.proof_world import SECOND, START, facts


def step(name: str, start: float, end: float, replica: str | None = None) -> Step:
    return Step(name=name, replica=replica, start_ns=START + round(start * SECOND), end_ns=START + round(end * SECOND))


SCHEMA = step("schema expanded", 0, 1)
ADMIT, DRAIN = step("admit", 2, 2.1, "app-1.2"), step("drain", 6, 8, "app-1.2")
OTHER = step("create", 4, 5, "app-2.2")


@pytest.mark.parametrize(
    ("at", "replica", "expected"),
    [
        (0.5, None, "schema expanded"),
        (2.05, "app-1.2", "admit"),
        (2.4, "app-1.2", "admit"),
        (4.5, "app-1.2", "after admit"),
        (7.0, "app-1.2", "drain"),
        (9.0, "app-1.2", "after drain"),
        (4.5, None, "after schema expanded"),
        (4.5, "app-3.1", "after schema expanded"),
        (1.5, "app-1.2", "after schema expanded"),
        (-1.0, "app-1.2", "before the roll"),
        (11.0, "app-1.2", "after the roll"),
    ],
)
def test_a_drop_is_told_with_the_step_that_went_on_or_was_over_last(
    at: float, replica: str | None, expected: str
) -> None:
    known = facts(steps=(SCHEMA, ADMIT, OTHER, DRAIN))

    assert step_at(known, START + round(at * SECOND), replica) == expected


def test_with_no_step_of_its_own_and_none_of_the_fleet_the_nearest_is_told() -> None:
    assert step_at(facts(steps=(ADMIT, DRAIN)), START + 3 * SECOND, None) == "admit"
    assert step_at(facts(steps=()), START + 3 * SECOND, None) is None


def test_what_is_closer_to_an_edge_than_the_clocks_are_known_is_left_undecided() -> None:
    run = facts(steps=(step("retire", 1, 2, "app-1.1"), step("drain", 2, 4, "app-1.1")), clock_error_ns=SECOND // 100)
    at = [step_at(run, START + int(t * SECOND), "app-1.1") for t in (1.5, 1.995, 2.005, 2.5)]
    assert at == ["retire", "retire or drain, undecided", "retire or drain, undecided", "drain"]


def test_a_phase_is_undecided_around_the_step_that_leads_to_it() -> None:
    expand = Step(name="schema expanded", start_ns=START, end_ns=START + SECOND)
    run = facts(schema_before="base", steps=(expand,), clock_error_ns=1000)
    at = [phase_at(run, START + t) for t in (-2000, -500, 2000, SECOND - 500, SECOND + 2000)]
    both = "base -> expanded"
    assert at == ["base", f"base or {both}, undecided", both, f"{both} or expanded, undecided", "expanded"]


def test_an_act_that_began_or_ended_closer_than_the_clocks_are_known_is_told_as_undecided_on_either_side() -> None:
    acts = (step("retire", 1, 2, "app-1.1"), step("drain", 3, 4, "app-1.1"))
    run, exact = facts(steps=acts, clock_error_ns=SECOND // 100), facts(steps=acts)

    def told(at: float) -> tuple[str, ...]:
        return under_way(run, START + round(at * SECOND))

    assert told(1.5) == ("retire app-1.1",)
    assert told(0.995) == told(1.005) == told(1.995) == told(2.005) == ("retire app-1.1 (undecided)",)
    assert told(0.98) == told(2.5) == ()
    assert under_way(exact, START + round(1.001 * SECOND)) == ("retire app-1.1",)
    assert under_way(exact, START + round(0.999 * SECOND)) == ()
