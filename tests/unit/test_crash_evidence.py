"""The tests' own reading of a journal after a crash: it passes what is right, and sees what is not."""

import importlib
from dataclasses import replace
from typing import Any

import pytest

from lab.ports import Event
from lab.spec_codec import spec_to_json
from tests.crash_at import Passed
from tests.crash_evidence import Fleet, budgets_broken, points_missing
from tests.engine_world import Trial, put_through, spec_of

DECIDE = importlib.import_module("lab.planner.decide")
WAYS = {"start-first": (1, 0), "stop-first": (0, 1), "both": (2, 1)}


def broken(surge: int, unavailable: int, *crashes: int) -> list[str]:
    trial = Trial(spec=spec_of(3, surge, unavailable), crashes=list(crashes))
    put_through(trial)
    begins = Event(type="rollout-started", run="r", t_ns=0, data={"spec": spec_to_json(trial.spec)})
    up = {f"app-{slot}.1" for slot in (1, 2, 3)}
    return budgets_broken([begins, *trial.journal.events()], Fleet(running=set(up), ready=set(up)))


@pytest.mark.parametrize("way", WAYS)
def test_a_sound_rollout_keeps_its_budgets_wherever_it_was_killed(way: str) -> None:
    assert broken(*WAYS[way]) == []
    assert {k: found for k in range(1, 90) if (found := broken(*WAYS[way], k))} == {}


@pytest.mark.parametrize(("name", "word"), [("surge", "may"), ("unavailable", "must be")])
def test_one_act_too_many_is_seen(name: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = DECIDE.acts_of

    def greedy(fleet: Any, spec: Any, *more: Any) -> Any:
        return sound(fleet, replace(spec, **{name: getattr(spec, name) + 1}), *more)

    monkeypatch.setattr(DECIDE, "acts_of", greedy)
    assert any(word in found for found in broken(1, 0))


NAMES = ["before record act-intended", "after record act-intended", "before admit", "after admit"]
NAMES += ["before record act-done", "after record act-done"]


def points(*names: str) -> list[Passed]:
    seqs = {"after record act-intended": 1, "after record act-done": 2}
    return [Passed(name=name, nth=1, verb="admit", replica="app-1.2", seq=seqs.get(name)) for name in names]


ACT = {"verb": "admit", "replica": "app-1.2"}
EVENTS = [
    Event(seq=seq, type=type, run="r", t_ns=0, data=ACT)
    for seq, type in enumerate(["act-intended", "act-done"], start=1)
]


def test_a_list_with_every_point_of_every_act_is_complete() -> None:
    assert points_missing(points(*NAMES), EVENTS) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_list_without_one_of_its_points_is_not(name: str) -> None:
    assert points_missing(points(*(n for n in NAMES if n != name)), EVENTS)


def test_an_effect_that_no_record_tells_of_is_seen() -> None:
    stray = Passed(name="before stop", nth=1, verb="stop", replica="app-9.1")
    assert points_missing([*points(*NAMES), stray], EVENTS) == ["app-9.1: no act has ['before stop']"]
