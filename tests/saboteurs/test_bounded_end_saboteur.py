"""P5: every rollout ends in bounded time. One that waits for ever for its version, or for anything, is seen."""

import importlib
import math

import pytest

from lab.model import Ending
from lab.sim import Behaviour
from tests.unit.rollout_world import V1, V2, Bench

DECIDE = importlib.import_module("lab.planner.decide")
STALLED = 40.0
PROMPT, AT_ALL = 20.0, STALLED + 30


class Late(BaseException):
    """The time within which it must have ended is over."""


def ending_within(seconds: float, stalled: float = STALLED) -> Ending:
    """The check: how a roll to a version that is never ready ends, in that much of virtual time."""
    bench = Bench(n=1, behaviours={"v2": Behaviour(ready_after=None)}, more={"progress_timeout": stalled}).up()
    until = bench.world.time_ns + int(seconds * 1e9)

    def look() -> None:
        if bench.world.time_ns > until:
            raise Late

    bench.world.on_look = look
    return bench.roll(V2, V1).ending


def test_a_version_that_is_never_ready_is_rolled_back_soon_after_its_deadline() -> None:
    assert ending_within(PROMPT) is Ending.ROLLED_BACK


def test_a_planner_that_never_gives_a_version_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DECIDE._Look, "_failures", lambda _look: None)
    with pytest.raises(Late):
        ending_within(PROMPT)
    assert ending_within(AT_ALL) is Ending.PAUSED_BY_ENVIRONMENT


def test_a_controller_that_waits_without_an_end_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DECIDE._Look, "_failures", lambda _look: None)
    with pytest.raises(Late):
        ending_within(AT_ALL, stalled=math.inf)
