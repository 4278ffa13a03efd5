"""P4: killed before or after any effect and any record of its journal, and killed again while it recovers: same end."""

from dataclasses import dataclass

import pytest

from lab.errors import EngineError
from lab.gates import Gate, Measure
from lab.model import Ending, Strategy, Verb
from lab.sim import Behaviour
from tests.engine_world import NEVER, Trial, put_through, spec_of

ERRORS = Gate(measure=Measure.ERROR_RATIO, limit=0.05, minimum=50)
WAYS = {
    "start-first": (spec_of(2, 1, 0), Behaviour()),
    "stop-first": (spec_of(2, 0, 1), Behaviour()),
    "rolled back": (spec_of(2, 1, 1), NEVER),
    "rolling": (spec_of(3, 1, 1, strategy=Strategy.ROLLING), Behaviour()),
    "recreate": (spec_of(2, 0, 2, strategy=Strategy.RECREATE), Behaviour()),
    "baked and gated": (spec_of(2, 1, 0, wave_bake=1.0, bake=2.0, gates=(ERRORS,)), Behaviour()),
    "rolled back by its gate": (spec_of(2, 1, 0, bake=2.0, gates=(ERRORS,)), Behaviour(errors=0.5)),
}
THOROUGHLY = ("start-first", "stop-first", "rolled back")
RECORDS = {"act-intended", "act-done", "phase-changed", "try-failed", "version-failed", "turned-back"}


@dataclass(frozen=True)
class End:
    ending: Ending
    versions: tuple[str, ...]


def trial(way: str, *crashes: int) -> Trial:
    spec, behaviour = WAYS[way]
    return Trial(spec=spec, behaviours={"v2": behaviour}, crashes=list(crashes))


def end_of(it: Trial) -> End:
    assert put_through(it) == []
    assert isinstance(it.phase, Ending)
    names = [e.data["replica"] for e in it.journal.events(types=["act-done"]) if e.data["verb"] == "create"]
    assert len(names) == len(set(names)) or it.points.count("before create") > len(set(names))
    return End(it.phase, tuple(it.versions()))


def points_of(way: str) -> list[str]:
    it = trial(way)
    put_through(it)
    return it.points


def test_the_list_of_crash_points_is_complete() -> None:
    """Every effect there is and every record that a rollout writes, before it and after it."""
    points = {point for way in WAYS for point in points_of(way)}
    effects = set(Verb) - {Verb.RESTORE}  # only an operator's change of mind restores: below

    assert points == {f"{at} {what}" for at in ("before", "after") for what in effects} | {
        f"{at} record {what}" for at in ("before", "after") for what in RECORDS
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_controller_killed_at_any_point_is_followed_by_one_that_ends_the_same(way: str) -> None:
    undisturbed = end_of(trial(way))
    count = len(points_of(way))

    assert count > 50
    for k in range(1, count + 1):
        assert end_of(trial(way, k)) == undisturbed, f"killed at point {k}"


@pytest.mark.parametrize("way", WAYS)
def test_one_that_is_killed_again_while_it_recovers_ends_the_same(way: str) -> None:
    undisturbed = end_of(trial(way))
    count = len(points_of(way))

    for k in range(1, count + 1):
        for again in (1, 2, 3, 5, 8) if way in THOROUGHLY else (2,):
            assert end_of(trial(way, k, again)) == undisturbed, f"killed at point {k}, and {again} after it"


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.RESTORE])
@pytest.mark.parametrize("hold", [0.0, 30.0])
def test_an_answer_that_is_lost_after_the_act_was_done_does_no_harm(verb: Verb, hold: float) -> None:
    """The first answer of that kind is lost: it is held and tried again, or paused and resumed."""
    it = Trial(spec=spec_of(2, 1, 0, hold_timeout=hold))
    it.killed = True  # what is lost between its creation and its start is no preparation
    lost: list[Verb] = []
    after = it.world.on_done

    def lose(done: Verb, name: str) -> None:
        after(done, name)
        if done is verb and not lost:
            lost.append(done)
            raise EngineError(id="timeout", what="no answer", where="simulated")

    it.world.on_done = lose
    ended = it.roll()
    if hold == 0 and lost:
        assert ended.ending is Ending.PAUSED_BY_ENVIRONMENT
        ended = it.roll()

    assert (ended.ending, it.violations, it.versions()) == (Ending.DONE, [], ["v2", "v2"])


def test_a_rollout_that_has_ended_is_not_begun_again_by_who_resumes_it() -> None:
    it = trial("rolled back")
    first = it.roll()
    acts = len(it.points)

    again = it.roll()

    assert (again.ending, again.reason) == (first.ending, first.reason)
    assert len(it.points) == acts
