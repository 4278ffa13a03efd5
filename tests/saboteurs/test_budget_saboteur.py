"""P3: never above N + surge, never below N - unavailable. A planner that takes one more of either is seen."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab import controller, planner
from lab.model import RolloutSpec
from lab.planner import Decision, Fleet, Observations, RolloutState
from tests.unit.rollout_world import V1, V2, Bench


def roll() -> list[str]:
    """The check: which acts of a roll broke a budget."""
    bench = Bench(n=3, surge=1).up()
    bench.roll(V2, V1)
    return bench.violations


def test_the_planner_breaks_no_budget() -> None:
    assert roll() == []


@pytest.mark.parametrize(
    ("greed", "seen"),
    [
        (lambda spec: replace(spec, surge=spec.surge + 1), "makes more than 4"),
        (lambda spec: replace(spec, unavailable=spec.unavailable + 1), "leaves 2 available"),
    ],
    ids=["surge", "unavailable"],
)
def test_a_planner_that_takes_one_too_many_is_seen(
    monkeypatch: pytest.MonkeyPatch, greed: Callable[[RolloutSpec], RolloutSpec], seen: str
) -> None:
    def greedy(fleet: Fleet, spec: RolloutSpec, state: RolloutState, seen: Observations) -> Decision:
        return planner.decide(fleet, greed(spec), state, seen)

    monkeypatch.setattr(controller, "decide", greedy)
    assert any(violation.endswith(seen) for violation in roll())
