"""Planner and controller on virtual time: whatever happens, in whatever order, the promises hold and it ends."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.gates import Gate, Measure
from lab.model import Asked, Command, Ending, OnFail
from lab.planner import Refused, Scaled, Turn
from lab.ports import Sight
from lab.sim import Behaviour, SimWorld
from lab.sim.faults import faults_of
from lab.sim.run import Simulation, simulate
from lab.transitions import REPLICA, ROLLOUT, STANDINGS, Chance, Happening, Phase
from tests.engine_chances import SECOND, away, blind, jump, kill, no_database
from tests.engine_world import NEVER, Trial, any_trial, put_through, spec_of
from tests.unit.planner_world import decided, fleet, spec

ERRORS = Gate(measure=Measure.ERROR_RATIO, limit=0.05, minimum=50)


@settings(max_examples=150)
@given(rng=st.randoms(use_true_random=False))
def test_any_rollout_keeps_every_promise_and_ends(rng: Random) -> None:
    assert put_through(any_trial(rng)) == []


@pytest.mark.parametrize("decade", range(10))
def test_many_rollouts_keep_every_promise_and_end(decade: int) -> None:
    broken = {seed: found for seed in range(decade * 50, decade * 50 + 50) if (found := put_through(trial(seed)))}

    assert broken == {}


def trial(seed: int) -> Trial:
    return any_trial(Random(seed))


# commands

PAIRS = [(phase, command) for phase in (*Phase, *Ending) for command in Command]
OBEYED = {
    Command.PAUSE: {Phase.ROLLING, Phase.BAKING, Phase.HOLDING, Phase.ROLLING_BACK, Phase.HOLDING_BACK},
    Command.RESUME: {Phase.PAUSED, Phase.PAUSED_BACK},
    Command.ABORT: set(Phase) - {Phase.SETTLING},
    Command.ROLLBACK: {Phase.ROLLING, Phase.BAKING, Phase.HOLDING, Phase.PAUSED, Phase.SETTLING},
    Command.SCALE: set(Phase) - {Phase.SETTLING},
}


@pytest.mark.parametrize(("phase", "command"), PAIRS)
def test_every_command_is_answered_wherever_the_rollout_is(phase: Phase | Ending, command: Command) -> None:
    asked = [Asked(number=1, command=command, replicas=2)]
    decision = decided(fleet("1.1 old ready"), spec(1, 1, 0), phase=phase, asked=asked)

    if isinstance(phase, Ending):
        assert not isinstance(decision, Turn | Scaled), "what has ended has ended"
    elif phase in OBEYED[command]:
        assert isinstance(decision, Turn | Scaled)
    else:
        assert isinstance(decision, Refused)


@pytest.mark.parametrize("look", range(1, 24))
@pytest.mark.parametrize("command", [Command.ABORT, Command.ROLLBACK, Command.PAUSE])
def test_a_command_at_any_moment_leaves_a_whole_fleet(command: Command, look: int) -> None:
    it = Trial(spec=spec_of(2, 1, 0), asks={look: (command, None)})
    ended = it.roll()
    it.check_end(ended)

    assert it.violations == []
    assert len(it.versions()) == 2
    if ended.ending is Ending.ROLLED_BACK:
        assert it.versions() == ["v1", "v1"]


@pytest.mark.parametrize("look", [1, 8, 14])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_fleet_may_be_scaled_during_a_roll(look: int, size: int) -> None:
    it = Trial(spec=spec_of(4, 1, 0), asks={look: (Command.SCALE, size)})
    ended = it.roll()

    assert (it.violations, ended.ending) == ([], Ending.DONE)
    assert it.versions() == ["v2"] * size


def test_what_is_added_during_a_roll_is_old_and_new_in_the_proportion_that_there_is() -> None:
    asked = [Asked(number=1, command=Command.SCALE, replicas=8)]
    half = fleet("1.2 new ready", "2.2 new ready", "3.1 old ready", "4.1 old ready")

    assert decided(half, spec(4, 1, 0), asked=asked) == Scaled(replicas=8, filled_old=(5, 6), answers=asked[0])


# whose fault it is


def test_a_version_that_answers_errors_is_rolled_back_by_its_gate() -> None:
    it = Trial(spec=spec_of(3, 1, 0, gates=(ERRORS,)), behaviours={"v2": Behaviour(errors=0.5)})
    ended = it.roll()

    assert (ended.ending, it.versions(), it.violations) == (Ending.ROLLED_BACK, ["v1"] * 3, [])
    assert ended.reason.startswith("error-ratio ")


def test_without_traffic_a_gate_is_inconclusive_and_pauses_and_never_passes() -> None:
    it = Trial(spec=spec_of(2, 1, 0, gates=(ERRORS,)))
    it.world.meter.rate = 0.0
    it.asks = {9999: (Command.PAUSE, None)}  # nobody resumes it
    ended = it.roll()

    assert ended.ending is Ending.PAUSED
    assert ended.reason == "inconclusive: error-ratio: 0 requests, at least 50 are needed"


@pytest.mark.parametrize(
    ("on_fail", "ending"),
    [(OnFail.ROLLBACK, Ending.ROLLED_BACK), (OnFail.PAUSE, Ending.PAUSED), (OnFail.ABORT, Ending.ABORTED)],
)
def test_what_becomes_of_a_version_that_fails_is_the_rollout_s_own_policy(on_fail: OnFail, ending: Ending) -> None:
    it = Trial(spec=spec_of(3, 1, 0, on_fail=on_fail), behaviours={"v2": NEVER})
    ended = it.roll()

    assert (ended.ending, it.violations) == (ending, [])
    assert it.versions() == ["v1"] * 3
    assert "never became ready within 5s" in ended.reason


def test_a_missing_image_pauses_and_is_never_rolled_back() -> None:
    it = Trial(spec=spec_of(3, 1, 0), happens={1: lambda world: setattr(world, "missing_image", True)})
    ended = it.roll()

    assert (ended.ending, ended.reason) == (Ending.PAUSED_BY_ENVIRONMENT, "no image for v2")
    assert it.journal.events(types=["turned-back"]) == []


def test_a_short_failure_of_the_environment_is_waited_out() -> None:
    it = Trial(spec=spec_of(3, 1, 0, hold_timeout=20.0), happens={9: away("engine_gone", 6)}, chaos=True)
    ended = it.roll()

    assert (ended.ending, it.violations) == (Ending.DONE, [])
    held = [e.data["happening"] for e in it.journal.events(types=["phase-changed"])]
    assert held[0] == Happening.HELD
    assert Happening.RELEASED in held


def test_a_database_that_is_down_for_everyone_is_not_the_version_s_fault() -> None:
    """The new replica is not ready in time, and neither are the old ones: nothing is rolled back."""
    patient = spec_of(3, 1, 0, hold_timeout=60.0)
    it = Trial(spec=patient, happens={2: no_database(20)}, chaos=True)
    ended = it.roll()

    assert (ended.ending, it.versions()) == (Ending.DONE, ["v2"] * 3)
    assert it.journal.events(types=["turned-back"]) == []
    impatient = Trial(spec=spec_of(3, 1, 0), happens={2: no_database(600)}, chaos=True)
    impatient.asks = {99999: (Command.PAUSE, None)}
    assert impatient.roll().ending is Ending.PAUSED_BY_ENVIRONMENT


def test_a_version_that_is_ready_and_then_ill_for_ever_has_as_long_to_get_well_as_to_get_ready() -> None:
    it = Trial(spec=spec_of(3, 1, 0), behaviours={"v2": Behaviour(unready_after_ready=100)}, chaos=True)
    ended = it.roll()

    assert (ended.ending, it.versions()) == (Ending.ROLLED_BACK, ["v1"] * 3)
    assert ended.reason == "app-1.2 was not ready again within 5s"
    assert it.world.now_ns() < 12 * SECOND


def test_the_progress_deadline_is_moved_by_progress_only() -> None:
    slow = Trial(spec=spec_of(5, 1, 0, progress_timeout=6.0), behaviours={"v1": Behaviour(drains_in=5000)})

    assert slow.roll().ending is Ending.DONE
    assert slow.world.now_ns() > 25 * SECOND


def test_a_slot_may_try_again_as_often_as_it_has_retries() -> None:
    it = Trial(spec=spec_of(2, 1, 0, retries=2), behaviours={"v2": NEVER})
    it.roll()

    assert [e.data["last"] for e in it.journal.events(types=["try-failed"])] == [False, False, True]


# clocks, and what is seen too late


@pytest.mark.parametrize("seconds", [-3600, -70, 70, 3600])
@pytest.mark.parametrize("look", [2, 5, 9, 13])
def test_a_clock_that_jumps_fails_no_version(look: int, seconds: int) -> None:
    it = Trial(spec=spec_of(3, 1, 0), happens={look: jump(seconds)}, chaos=True)

    assert (it.roll().ending, it.violations, it.versions()) == (Ending.DONE, [], ["v2"] * 3)


@pytest.mark.parametrize("look", range(1, 20, 2))
def test_what_is_seen_too_late_breaks_no_promise(look: int) -> None:
    it = Trial(spec=spec_of(3, 1, 1), happens={look: blind(3)})

    assert (it.roll().ending, it.violations, it.versions()) == (Ending.DONE, [], ["v2"] * 3)


def test_a_replica_that_dies_of_its_own_during_its_own_replacement_is_replaced_once() -> None:
    for look in range(1, 40):
        it = Trial(spec=spec_of(3, 1, 0), happens={look: kill(look)}, chaos=True)
        assert (it.roll().ending, it.violations, it.versions()) == (Ending.DONE, [], ["v2"] * 3)


# the same, by the same


def test_the_same_simulation_gives_the_same_journal() -> None:
    def once(seed: int) -> str:
        bad = faults_of(["errors:v2=3%", "kill@3s=app-4.1"])
        it = Simulation(source="v1", target="v2", spec=spec_of(20, 2, 1), seed=seed, faults=bad)
        return simulate(it).journal.digest()

    assert once(1) == once(1) != once(2)


def test_what_is_told_of_changes_rolls_as_what_looks_at_everything_does() -> None:
    """The simulation's own short cut: its journal is that of a controller that looks at all there is, every time."""
    kept = Trial(spec=spec_of(4, 2, 1), happens={9: kill(1)}, chaos=True)
    kept.roll()
    whole = Trial(spec=spec_of(4, 2, 1), happens={9: kill(1)}, chaos=True)
    whole.observer = Everything(whole.world)
    whole.roll()

    assert [e.data for e in whole.journal.events()] == [e.data for e in kept.journal.events()]


class Everything:
    def __init__(self, world: SimWorld) -> None:
        self._world = world

    async def look(self, *, whole: bool) -> Sight:  # noqa: ARG002
        return await self._world.look(whole=True)


# the tables


def test_every_standing_of_a_replica_is_left_and_reached_and_the_terminal_is_absence() -> None:
    leaves = {standing for standing, _ in REPLICA}

    assert leaves == set(REPLICA.values()) == set(STANDINGS)
    assert {by for _, by in REPLICA if isinstance(by, Chance)} == set(Chance)


def test_every_phase_is_reached_and_has_a_way_to_an_ending() -> None:
    ends = set(Ending) - {Ending.PAUSED, Ending.PAUSED_BY_ENVIRONMENT, Ending.INTERRUPTED}
    ways = {phase: {to for (at, _), to in ROLLOUT.items() if at is phase} for phase in Phase}

    assert {to for to in ROLLOUT.values() if isinstance(to, Ending)} == ends
    assert set(ROLLOUT.values()) >= set(Phase)
    for phase in Phase:
        known: set[Phase | Ending] = {phase}
        for _ in Phase:
            known |= {to for at in known if isinstance(at, Phase) for to in ways[at]}
        assert known & ends, phase
