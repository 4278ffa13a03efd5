"""P3 to P7, in the planner: bugs that one might well make, each caught by what is checked of every rollout."""

import asyncio
import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lab.gates import Gate, Judgement, Measure, Verdict
from lab.model import Command, Container, Ending, OnFail, Place, Verb
from lab.planner import Fleet, RolloutState
from lab.planner import fleet as fleet_module
from lab.sim import Behaviour
from lab.transitions import ROLLOUT, Happening, Phase
from tests.engine_chances import away, kill
from tests.engine_world import DIES, FALLS_ILL, NEVER, Trial, any_trial, put_through, spec_of

DECIDE, ACTS, SLOTS, STATE = (
    importlib.import_module(f"lab.planner.{name}") for name in ("decide", "acts", "slots", "state")
)
LOOK = DECIDE._Look
Patch = pytest.MonkeyPatch
ERRORS = Gate(measure=Measure.ERROR_RATIO, limit=0.05, minimum=50)


def trials() -> Iterator[Trial]:
    """What the sound planner passes, and no bug below does."""
    yield Trial(spec=spec_of(3, 1, 0), right=Ending.DONE)
    yield Trial(spec=spec_of(4, 0, 2))
    yield Trial(spec=spec_of(4, 2, 1), behaviours={"v1": Behaviour(drains_in=9000)})
    yield Trial(spec=spec_of(3, 1, 1), behaviours={"v2": NEVER}, right=Ending.ROLLED_BACK)
    yield Trial(spec=spec_of(3, 0, 1), behaviours={"v2": DIES}, right=Ending.ROLLED_BACK)
    yield Trial(spec=spec_of(3, 1, 0, progress_timeout=20.0), behaviours={"v2": FALLS_ILL}, chaos=True)
    settling = spec_of(3, 1, 0, progress_timeout=20.0, on_fail=OnFail.ABORT)
    yield Trial(spec=settling, behaviours={"v2": FALLS_ILL}, chaos=True)
    yield Trial(spec=spec_of(2, 1, 0, bake=3.0))
    yield Trial(spec=spec_of(2, 1, 0), happens={4: kill(0)}, right=Ending.DONE)
    yield Trial(spec=spec_of(2, 1, 0, hold_timeout=9.0), happens={3: away("engine_gone", 3)})
    no_data = Trial(spec=spec_of(2, 1, 0, gates=(ERRORS,)))
    no_data.world.meter.rate = 0.0
    yield no_data
    uneven = Behaviour(jitter=0.8)
    yield Trial(spec=spec_of(6, 3, 0), behaviours={"v1": uneven, "v2": uneven}, plain=True, right=Ending.DONE)
    yield Trial(spec=spec_of(2, 0, 1), behaviours={"v1": NEVER, "v2": NEVER})
    yield Trial(spec=spec_of(4, 1, 0), asks={30: (Command.ROLLBACK, None)})
    yield Trial(spec=spec_of(3, 1, 0), lingers=5, whole=True, right=Ending.DONE)
    for seed in range(60):
        yield any_trial(Random(seed))


def caught() -> list[str]:
    """The check: the promises that some rollout breaks."""
    for trial in trials():
        found = put_through(trial)
        if found:
            return found
    return []


def test_the_planner_breaks_no_promise() -> None:
    assert caught() == []


def one_more(name: str) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        sound = DECIDE.acts_of

        def greedy(fleet: Any, spec: Any, leave: Any, now_ns: int) -> Any:
            return sound(fleet, replace(spec, **{name: getattr(spec, name) + 1}), leave, now_ns)

        patch.setattr(DECIDE, "acts_of", greedy)

    return plant


def draining_is_not_counted(patch: Patch) -> None:
    sound = Fleet._count

    def count(self: Fleet, r: Any, by: int) -> None:
        sound(self, r, by)
        if r.retiring and r.container is not Container.EXITED:
            self.total -= by

    patch.setattr(Fleet, "_count", count)


def step(change: Callable[[Any, bool, Any], Any]) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        sound = SLOTS._next_step
        patch.setattr(
            SLOTS,
            "_next_step",
            lambda r, *, wanted, waits: change(r, wanted, sound(r, wanted=wanted, waits=waits)),
        )

    return plant


stops_before_removable = step(lambda r, _, verb: Verb.STOP if r.place is Place.DRAINING and r.alive else verb)
admits_unproven = step(lambda r, wanted, verb: Verb.ADMIT if wanted and r.alive and r.place is Place.JOINING else verb)
leaves_the_dead = step(lambda r, _, verb: None if r.container is Container.EXITED else verb)


def gives_no_version_up(patch: Patch) -> None:
    patch.setattr(LOOK, "_failing", lambda _self: iter(()))
    patch.setattr(LOOK, "_stalled", lambda _self: None)


def never_stalls(patch: Patch) -> None:
    patch.setattr(LOOK, "_stalled", lambda _self: None)


def uses_names_again(patch: Patch) -> None:
    patch.setattr(ACTS, "replica_name", lambda service, slot, _generation: f"{service}-{slot}.2")


def is_done_too_early(patch: Patch) -> None:
    patch.setattr(Fleet, "whole", property(lambda self: self.settled >= self.aim.replicas - 1))


def creates_beside_the_dead(patch: Patch) -> None:
    patch.setattr(Fleet, "haunting", property(lambda _self: 0, lambda _self, _value: None), raising=False)


def goes_on_while_paused(patch: Patch) -> None:
    patch.setattr(LOOK, "leave", property(lambda _self: ACTS.EVERYTHING))


def skips_the_bake(patch: Patch) -> None:
    patch.setattr(LOOK, "_unbaked", lambda _self: False)


def lets_no_data_pass(patch: Patch) -> None:
    patch.setattr(DECIDE, "judge", lambda _samples, _gates: Verdict(judgement=Judgement.OK))


def forgets_waves(patch: Patch) -> None:
    patch.setattr(Fleet, "moving", property(lambda _self: 0, lambda _self, _value: None), raising=False)


def rolls_a_rollback_back(patch: Patch) -> None:
    patch.setitem(ROLLOUT, (Phase.ROLLING_BACK, Happening.PAUSED), Phase.ROLLING)


def reopens_what_has_ended(patch: Patch) -> None:
    sound = DECIDE.decide

    def decide(fleet: Any, spec: Any, state: RolloutState, seen: Any) -> Any:
        if state.phase is Ending.DONE:
            state.phase = Phase.ROLLING
        return sound(fleet, spec, state, seen)

    patch.setattr("lab.controller.decide", decide)


def never_lets_go_of_the_environment(patch: Patch) -> None:
    patch.setattr(LOOK, "_held", lambda _self: DECIDE.Wait(on="the environment"))


def ignores_commands(patch: Patch) -> None:
    sound = DECIDE._answer
    patch.setattr(
        DECIDE,
        "_answer",
        lambda fleet, spec, state: (
            DECIDE.Wait(on="nothing") if state.phase is Phase.PAUSED else sound(fleet, spec, state)
        ),
    )


def retires_what_alone_serves(patch: Patch) -> None:
    patch.setattr(
        ACTS,
        "_retirements",
        lambda fleet, _spec, slots: (
            ACTS._act(Verb.RETIRE, r) for s in slots for r in fleet.slot(s).outgoing if r.place is Place.READY
        ),
    )


def counts_what_is_prepared(patch: Patch) -> None:
    sound = Fleet._count

    def count(self: Fleet, r: Any, by: int) -> None:
        sound(self, r, by)
        self.total += by if r.container is Container.CREATED else 0

    patch.setattr(Fleet, "_count", count)


def leaves_what_is_prepared(patch: Patch) -> None:
    step(lambda r, _, verb: None if r.container is Container.CREATED else verb)(patch)
    patch.setattr(Fleet, "whole", property(lambda it: it.settled == it.aim.replicas == len(it.by_name) - it.prepared))


def prepares_everything(patch: Patch) -> None:
    patch.setattr(Fleet, "prepared", property(lambda _self: 0, lambda _self, _value: None), raising=False)


def prepares_while_it_turns_back(patch: Patch) -> None:
    patch.setitem(DECIDE._LEAVES, Phase.ROLLING_BACK, ACTS.EVERYTHING)


def does_twice_what_is_under_way(patch: Patch) -> None:
    patch.setattr("lab.errands.Errands.begin", begins_without_a_word)


def begins_without_a_word(self: Any, act: Any, seen: Any, _version: str) -> None:
    intent = self._hands.intend(act, seen)
    self._under_way.add(asyncio.create_task(self._carry_out(intent, seen)))


BUGS: dict[str, Callable[[Patch], None]] = {
    "one more above N": one_more("surge"),
    "one more below N": one_more("unavailable"),
    "draining replicas are not counted": draining_is_not_counted,
    "a replica is stopped before it is removable": stops_before_removable,
    "a replica is admitted before it is proven": admits_unproven,
    "what is dead is left lying": leaves_the_dead,
    "a version is never given up": gives_no_version_up,
    "a stall is never noticed": never_stalls,
    "a name is given twice": uses_names_again,
    "done, and one slot is missing": is_done_too_early,
    "a replica is made while a dead one is routed": creates_beside_the_dead,
    "it goes on while it is paused": goes_on_while_paused,
    "the bake is skipped": skips_the_bake,
    "a gate without data passes": lets_no_data_pass,
    "waves are begun beside each other": forgets_waves,
    "a rollback is rolled back": rolls_a_rollback_back,
    "the environment is never tried again": never_lets_go_of_the_environment,
    "a command is not answered": ignores_commands,
    "the budget is not looked at": retires_what_alone_serves,
    "what is prepared counts against the budget": counts_what_is_prepared,
    "what was prepared is left at the end": leaves_what_is_prepared,
    "more is prepared than one wave": prepares_everything,
    "a way back prepares": prepares_while_it_turns_back,
    "what is under way is begun again": does_twice_what_is_under_way,
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planner_with_this_bug_is_seen(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.engine_world.MOST_LOOKS", 1500)
    BUGS[bug](monkeypatch)

    assert caught() != []


def test_there_are_a_dozen_bugs_at_least() -> None:
    assert len(BUGS) >= 12
    assert fleet_module.Fleet is Fleet
