"""The controller and the planner on the simulated world: every promise about budgets, order and ends."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.controller import Controller, Ended, Rollout, World
from lab.model import Act, Container, Ending, Place, Replica, RolloutSpec, Verb
from lab.ports import Readiness
from lab.sim import Behaviour
from lab.transitions import LEGAL
from tests.unit.rollout_world import REVISIONS, V1, V2, Bench, Crash


def test_a_fleet_comes_up_from_nothing() -> None:
    bench = Bench(n=3).up()

    assert bench.versions() == ["v1", "v1", "v1"]
    assert not bench.violations


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), (2, 0), (0, 2), (1, 1), (3, 0)])
def test_a_roll_ends_with_every_slot_on_the_new_version(surge: int, unavailable: int) -> None:
    bench = Bench(n=3, surge=surge, unavailable=unavailable).up()

    assert bench.roll(V2, V1).ending is Ending.DONE
    assert bench.versions() == ["v2", "v2", "v2"]
    assert not bench.violations
    assert len(bench.world.sims) == 3


def test_start_first_starts_a_replica_before_it_retires_one() -> None:
    bench = Bench(n=1).up()
    bench.roll(V2, V1)

    verbs = [verb for verb, _ in bench.acts]
    assert verbs.index(Verb.ADMIT) < verbs.index(Verb.RETIRE)


def test_stop_first_never_runs_more_than_n() -> None:
    bench = Bench(n=2, surge=0, unavailable=1).up()
    bench.roll(V2, V1)

    begun = [act for act in bench.acts if act[0] is not Verb.CREATE]
    assert begun[0] == (Verb.RETIRE, "app-1.1")
    assert not bench.violations


def test_a_batch_is_started_together() -> None:
    bench = Bench(n=4, surge=2).up()
    bench.roll(V2, V1)

    begun = [act for act in bench.acts if act[0] is not Verb.CREATE]
    assert begun[:2] == [(Verb.START, "app-1.2"), (Verb.START, "app-2.2")]


def test_a_version_that_never_gets_ready_leaves_the_fleet_as_it_was() -> None:
    bench = Bench(n=3, behaviours={"v2": Behaviour(ready_after=None)}).up()
    before = {r.name for r in bench.world.replicas_now()}

    ended = bench.roll(V2, V1)

    assert ended.ending is Ending.ROLLED_BACK
    assert ended.reason == "app-1.2 never became ready within 5s"
    assert ended.log == ("log of id-app-1.2",)
    assert {r.name for r in bench.world.replicas_now()} == before
    assert not bench.violations


def test_a_version_that_dies_at_start_is_rolled_back_without_waiting_for_the_deadline() -> None:
    bench = Bench(n=3, unavailable=1, surge=0, behaviours={"v2": Behaviour(ready_after=None, dies_after=100)}).up()

    ended = bench.roll(V2, V1)

    assert ended.ending is Ending.ROLLED_BACK
    assert "ended before it was ever ready" in ended.reason
    assert ended.where == "exit code 1"
    assert bench.versions() == ["v1", "v1", "v1"]


def test_swapped_replicas_go_back_when_a_later_one_fails() -> None:
    bench = Bench(n=3)
    bench.up()
    good = dict(bench.behaviours)

    def turn_bad(verb: Verb, name: str) -> None:
        if (verb, name) == (Verb.CREATE, "app-3.2"):
            bench.world.behaviours = good | {"v2": Behaviour(ready_after=None)}
        bench.on_act(verb, name)

    bench.world.on_act = turn_bad

    assert bench.roll(V2, V1).ending is Ending.ROLLED_BACK
    assert bench.versions() == ["v1", "v1", "v1"]
    assert not bench.violations


def test_a_rollback_that_fails_is_never_rolled_back() -> None:
    bench = Bench(n=2, surge=0, unavailable=1, behaviours={"v2": Behaviour(ready_after=None)}).up()
    bench.world.behaviours = {"v1": Behaviour(ready_after=None), "v2": Behaviour(ready_after=None)}

    ended = bench.roll(V2, V1)

    assert ended.ending is Ending.PAUSED
    assert ended.reason.startswith("app-1.3 never became ready")


def test_the_environment_s_fault_pauses_and_touches_nothing() -> None:
    bench = Bench(n=2).up()
    bench.world.missing_image = True

    ended = bench.roll(V2, V1)

    assert ended.ending is Ending.PAUSED_BY_ENVIRONMENT
    assert bench.versions() == ["v1", "v1"]


def test_rolling_to_what_already_runs_does_nothing() -> None:
    bench = Bench(n=2).up()

    assert bench.roll(V1, None).ending is Ending.DONE
    assert bench.acts == []


def test_a_killed_replica_is_replaced_and_its_death_is_in_the_journal() -> None:
    bench = Bench(n=3, kills={3: 2}).up()

    assert bench.roll(V2, V1).ending is Ending.DONE
    (death,) = bench.journal.events(types=["replica-died"])
    assert death.data["exit_code"] == 137
    assert bench.versions() == ["v2", "v2", "v2"]


def test_a_replica_that_died_before_the_roll_is_replaced_by_the_new_version_once() -> None:
    bench = Bench(n=3).up()
    bench.world.kill("app-3.1")

    assert bench.roll(V2, V1).ending is Ending.DONE
    assert next(act for act in bench.acts if act[0] is Verb.CREATE) == (Verb.CREATE, "app-3.2")
    assert not bench.violations


def test_without_the_wait_for_the_drain_a_replica_is_stopped_while_it_drains() -> None:
    """The saboteur's switch really breaks the order that P1 promises."""
    bench = Bench(n=2, wait_for_drain=False).up()
    bench.wait_for_drain = True  # judged as if the promise held
    spec_world = bench.world
    bench.violations.clear()
    spec = RolloutSpec(target=V2, replicas=2, surge=1, unavailable=0, wait_for_drain=False)
    world = World(engine=spec_world, gateway=spec_world, watch=spec_world, clock=spec_world, journal=bench.journal)
    rollout = Rollout(run="r", service="app", spec=spec, back_to=V1, revisions=REVISIONS, readiness=Readiness())

    asyncio.run(Controller(world, rollout).run())

    assert [v for v in bench.violations if "draining" in v]


def test_every_act_of_a_roll_is_intended_in_the_journal_before_it_is_done() -> None:
    bench = Bench(n=2).up()
    bench.roll(V2, V1)

    pending: set[tuple[str, str]] = set()
    for event in bench.journal.events(run="r2-1", types=["act-intended", "act-done"]):
        key = (event.data["verb"], event.data["replica"])
        if event.type == "act-intended":
            pending.add(key)
        else:
            assert key in pending
            pending.discard(key)
    assert not pending


rolls = st.fixed_dictionaries(
    {
        "n": st.integers(1, 6),
        "surge": st.integers(0, 3),
        "unavailable": st.integers(0, 3),
        "ready": st.sampled_from([300, 300, None]),
        "dies": st.sampled_from([None, None, 100]),
    }
).filter(lambda p: p["surge"] + p["unavailable"] > 0)


def prepared(plan: dict[str, int | None], **more: object) -> Bench:
    n = plan["n"] or 1
    bench = Bench(
        n=n,
        surge=plan["surge"] or 0,
        unavailable=min(plan["unavailable"] or 0, n),
        behaviours={"v2": Behaviour(ready_after=plan["ready"], dies_after=plan["dies"])},
        **more,  # type: ignore[arg-type]
    )
    return bench.up()


def assert_legal_end(bench: Bench, ended: Ended) -> None:
    assert not bench.violations
    assert ended.ending in {Ending.DONE, Ending.ROLLED_BACK, Ending.PAUSED}
    if ended.ending is not Ending.PAUSED:
        assert bench.versions() == ["v2" if ended.ending is Ending.DONE else "v1"] * bench.n
        assert len(bench.world.sims) == bench.n


@settings(max_examples=150)
@given(plan=rolls, kills=st.dictionaries(st.integers(1, 30), st.integers(0, 5), max_size=2))
def test_any_roll_under_any_kills_keeps_the_budgets_and_ends(
    plan: dict[str, int | None], kills: dict[int, int]
) -> None:
    bench = prepared(plan, kills=kills)

    assert_legal_end(bench, bench.roll(V2, V1))


@settings(max_examples=150)
@given(plan=rolls, crash_at=st.integers(1, 40))
def test_a_controller_killed_before_any_act_ends_the_same_when_it_is_started_again(
    plan: dict[str, int | None], crash_at: int
) -> None:
    undisturbed = prepared(plan).roll(V2, V1)
    bench = prepared(plan, crash_at=crash_at)

    try:
        ended = bench.roll(V2, V1)
    except Crash:
        ended = bench.roll(V2, V1)

    assert_legal_end(bench, ended)
    assert ended.ending is undisturbed.ending


def test_every_state_that_a_replica_can_be_in_has_a_way_out() -> None:
    """Total over the table: no pair of states is stuck but for those that wait on the world."""
    waits = {(Container.RUNNING, Place.READY), (Container.RUNNING, Place.DRAINING)}
    for container in Container:
        for place in (None, *Place):
            if container is Container.CREATED and place is not None:
                continue  # a replica is routed only once it runs
            ways = [verb for verb, states in LEGAL.items() if (container, place) in states]
            assert ways or (container, place) in waits


def replica(**more: object) -> Replica:
    base: dict[str, object] = {
        "name": "app-1.1",
        "slot": 1,
        "generation": 1,
        "revision": V1,
        "version": "v1",
        "container": Container.RUNNING,
    }
    return Replica(**(base | more))  # type: ignore[arg-type]


def test_an_ejected_replica_is_not_available() -> None:
    assert not replica(place=Place.READY, health="ejected").available


def test_the_controller_refuses_an_act_that_the_table_does_not_allow() -> None:
    """The table is the rule, not only a description: a planner that is wrong is stopped before it acts."""
    bench = Bench(n=1).up()
    world = World(engine=bench.world, gateway=bench.world, watch=bench.world, clock=bench.world, journal=bench.journal)
    spec = RolloutSpec(target=V1, replicas=1, surge=1, unavailable=0)
    rollout = Rollout(run="r", service="app", spec=spec, back_to=None, revisions=REVISIONS, readiness=Readiness())
    ready = bench.world.replicas_now()[0]
    stop = Act(verb=Verb.STOP, replica=ready.name, slot=ready.slot, generation=ready.generation, revision=V1)

    with pytest.raises(RuntimeError, match=r"may not stop app-1\.1"):
        asyncio.run(Controller(world, rollout)._hands.do(stop, ready))
    assert ready.name in bench.world.sims
    assert bench.acts == []
