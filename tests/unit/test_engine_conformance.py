"""A recorded rollout, decided again from what its controller saw, is decided the same; by another planner it is not."""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model import Command, Verb
from lab.recording import FILE, SightsFile
from lab.sim.replay import Replayed, replay
from tests.engine_chances import away, kill
from tests.engine_world import DIES, NEVER, Trial, any_trial, put_through, spec_of

DECIDE, SLOTS = (importlib.import_module(f"lab.planner.{name}") for name in ("decide", "slots"))


def decided_again(trial: Trial) -> Replayed:
    """Roll with a recording, then decide it all again from there."""
    trial.sights = []
    assert put_through(trial) == []
    return replay(trial.journal.events(), trial.sights)


@settings(max_examples=60)
@given(rng=st.randoms(use_true_random=False), instant=st.booleans())
def test_any_rollout_is_decided_again_record_by_record(rng: Random, instant: bool) -> None:
    trial = any_trial(rng)
    trial.instant = instant
    again = decided_again(trial)

    assert again.differences == ()


@pytest.mark.parametrize("decade", range(4))
def test_many_rollouts_are_decided_again_record_by_record(decade: int) -> None:
    seeds = range(decade * 50, decade * 50 + 50)

    assert {seed: found for seed in seeds if (found := decided_again(any_trial(Random(seed))).differences)} == {}


def test_every_record_of_the_controller_and_every_look_is_gone_through() -> None:
    trial = Trial(spec=spec_of(3, 1, 0), crashes=[20, 9])
    again = decided_again(trial)

    assert (again.beginnings, again.differences) == (3, ())
    assert again.decided == len(trial.journal.events())
    assert again.looks == trial.looks


def greedy(patch: pytest.MonkeyPatch) -> None:
    sound = DECIDE.acts_of
    patch.setattr(
        DECIDE,
        "acts_of",
        lambda fleet, spec, leave, now_ns: sound(fleet, replace(spec, surge=spec.surge + 1), leave, now_ns),
    )


def hasty(patch: pytest.MonkeyPatch) -> None:
    sound = SLOTS._next_step
    patch.setattr(
        SLOTS,
        "_next_step",
        lambda r, *, wanted, waits: Verb.STOP if r.retiring and r.alive else sound(r, wanted=wanted, waits=waits),
    )


def stubborn(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DECIDE._Look, "_failing", lambda _self: iter(()))


def deaf(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DECIDE, "_answer", lambda _fleet, _spec, state: DECIDE.Refused(why="no", answers=state.asked[0]))


CHANGED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[[], Trial]]] = {
    "takes one more above N": (greedy, lambda: Trial(spec=spec_of(3, 1, 0))),
    "stops before the drain is over": (hasty, lambda: Trial(spec=spec_of(2, 0, 1))),
    "gives no version up": (stubborn, lambda: Trial(spec=spec_of(2, 1, 0), behaviours={"v2": NEVER})),
    "answers operators otherwise": (deaf, lambda: Trial(spec=spec_of(3, 1, 0), asks={5: (Command.ABORT, None)})),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_planner_that_decides_otherwise_is_seen(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, trial_of = CHANGED[change]
    trial = trial_of()
    assert decided_again(trial).differences == ()

    plant(monkeypatch)

    assert len(replay(trial.journal.events(), trial.sights or []).differences) == 1


def test_a_record_that_says_otherwise_is_seen_with_both_sides() -> None:
    trial = Trial(spec=spec_of(2, 1, 0))
    decided_again(trial)
    events = trial.journal.events()
    at = next(i for i, e in enumerate(events) if e.data.get("verb") == "retire")
    events[at] = replace(events[at], data={**events[at].data, "replica": "app-2.1", "slot": 2})

    (difference,) = replay(events, trial.sights or []).differences

    assert difference.seq == events[at].seq
    assert difference.recorded is not None
    assert difference.decided is not None
    assert (difference.recorded["replica"], difference.decided["replica"]) == ("app-2.1", "app-1.1")


def test_records_beyond_what_was_decided_are_seen() -> None:
    trial = Trial(spec=spec_of(2, 1, 0))
    decided_again(trial)
    events = trial.journal.events()
    lines = trial.sights or []

    (difference,) = replay(events, lines[: len(lines) // 2]).differences

    assert (difference.recorded is not None, difference.decided) == (True, None)


@pytest.mark.parametrize("trial", [Trial(spec=spec_of(3, 1, 1), behaviours={"v2": DIES}), Trial(spec=spec_of(3, 2, 0))])
def test_a_last_line_that_was_cut_short_is_no_difference(trial: Trial) -> None:
    trial.happens = {6: kill(1), 9: away("engine_gone", 2)}
    trial.chaos = True
    trial.sights = []
    trial.roll()
    cut = [*trial.sights, '{"look":12,"se']

    assert replay(trial.journal.events(), cut).differences == ()


def lines_of(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_a_second_beginning_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for number in (1, 2):
        file = SightsFile(tmp_path)
        file.write({"look": number})
        file.close()
        file.write({"look": "never"})

    assert lines_of(tmp_path) == [{"look": 1}, {"look": 2}]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / FILE).symlink_to("/dev/full")
    file = SightsFile(tmp_path)
    file.write({"look": 1})
    file.write({"look": 2})
    file.close()
