"""What one look at a fleet leads to: worked examples, and what holds of every decision whatever the fleet."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.hands import made_by
from lab.model import Act, Container, Replica, RolloutSpec, Strategy, Verb
from lab.planner import Fleet, TryFailed, Turn, Wait
from lab.planner.slots import Aim
from lab.transitions import Happening, Phase, is_legal
from tests.unit.planner_world import NEW, NOW, OLD, SECOND, SHAPES, WORKED, decided, fleet, replica, spec, words


@pytest.mark.parametrize(
    ("n", "surge", "unavailable", "texts", "expected"), [row[1:] for row in WORKED], ids=[row[0] for row in WORKED]
)
def test_worked_example(n: int, surge: int, unavailable: int, texts: list[str], expected: list[str]) -> None:
    assert words(decided(fleet(*texts), spec(n, surge, unavailable))) == expected


def test_a_replica_that_is_not_ready_in_time_has_failed() -> None:
    decision = decided(fleet("1.1 old ready", "1.2 new late"), spec(1, 1, 0))

    assert decision == TryFailed(slot=1, replica="app-1.2", reason="never became ready within 30s", last=True)


def test_a_replica_that_was_proven_late_is_still_admitted() -> None:
    assert words(decided(fleet("1.1 old ready", "1.2 new late-proven"), spec(1, 1, 0))) == ["admit 1.2"]


def test_an_old_replica_that_is_not_ready_in_time_is_not_the_new_version_s_failure() -> None:
    assert words(decided(fleet("1.1 old late"), spec(1, 1, 0))) == ["retire 1.1", "create 1.2", "start 1.2"]


def test_one_death_before_it_was_ready_is_enough() -> None:
    decision = decided(fleet("1.1 old ready"), spec(1, 1, 0), suspects={1: ("app-1.2", "ended early")})

    assert decision == TryFailed(slot=1, replica="app-1.2", reason="ended early", last=True)


@pytest.mark.parametrize(("deaths", "fails"), [(3, False), (4, True)])
def test_deaths_after_ready_are_forgiven_as_often_as_restarts_allow(deaths: int, fails: bool) -> None:
    decision = decided(fleet("2.9 new ready"), spec(2, 1, 0, restarts=3), deaths={1: deaths})

    assert isinstance(decision, TryFailed) is fails


def test_a_generation_is_never_used_twice() -> None:
    decision = decided(fleet("1.2 old dead"), spec(2, 1, 0), generations={1: 7, 2: 3})

    assert words(decision) == ["delete 1.2", "create 1.8", "start 1.8", "create 2.4", "start 2.4"]


def test_nothing_is_started_while_a_dead_replica_is_routed_for_it_might_get_its_address() -> None:
    assert words(decided(fleet("1.2 old dead-routed"), spec(2, 1, 0))) == ["unroute 1.2", "create 1.3"]
    assert words(decided(fleet("1.2 old dead-routed", "1.3 new created"), spec(1, 1, 0))) == ["unroute 1.2"]


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.SETTLING, Phase.HOLDING, Phase.PAUSED])
def test_only_what_goes_on_prepares_what_comes_next(phase: Phase) -> None:
    texts = ["1.1 old draining", "1.2 new ready", "2.1 old ready"]

    assert words(decided(fleet(*texts), spec(2, 1, 0))) == ["create 2.2"]
    assert words(decided(fleet(*texts), spec(2, 1, 0), phase=Phase.BAKING)) == ["create 2.2"]
    assert words(decided(fleet(*texts), spec(2, 1, 0), phase=phase)) == ["wait"]


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.SETTLING])
def test_what_was_prepared_for_another_aim_is_deleted(phase: Phase) -> None:
    texts = ["1.1 old ready", "2.1 old ready", "2.2 new created"]

    assert words(decided(fleet(*texts), spec(2, 1, 0), phase=phase, target=OLD)) == ["delete 2.2"]


def test_what_is_busy_is_left_alone() -> None:
    """Its errand is under way: it is neither begun again nor in the way of the others."""
    texts = ["1.1 old dead", "1.2 new ready", "2.1 old ready", "2.2 new created"]

    assert words(decided(fleet(*texts), spec(2, 1, 0), busy=["app-1.1"])) == ["start 2.2"]
    assert words(decided(fleet(*texts), spec(2, 1, 0), busy=["app-2.2"])) == ["delete 1.1"]
    assert words(decided(fleet(*texts), spec(2, 1, 0), busy=["app-1.1", "app-2.2"])) == ["wait"]


def test_a_wait_names_what_it_waits_for_and_until_when() -> None:
    drain = decided(fleet("1.1 old draining", "1.2 new ready"), spec(1, 1, 0))
    ready = decided(fleet("1.1 old ready", "1.2 new joining"), spec(1, 1, 0))
    health = decided(fleet("1.1 old ready", "1.2 new unchecked"), spec(1, 1, 0))
    probes = decided(fleet("1.2 new ejected"), spec(1, 1, 0))
    first = decided(fleet("1.2 new unproven"), spec(1, 1, 0))

    assert drain == Wait(on="app-1.1 to drain, 0 in flight", until_ns=NOW + 30 * SECOND)
    assert ready == Wait(on="app-1.2 to become ready", until_ns=NOW - SECOND + 30 * SECOND)
    assert health == Wait(on="app-1.2 to pass its healthcheck", until_ns=NOW - SECOND + 30 * SECOND)
    assert probes == Wait(on="app-1.2 to answer its probes again")
    assert first == Wait(on="app-1.2 to answer its probes, since the proxy came back")


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("ill-for-long", "was not ready again within 30s"),
        ("ill-again", "was ready and not ready in turn, 3 times"),
        ("flapping", "never became ready within 30s: its probes passed and failed in turn, 40 times"),
        ("given-up", "never became ready: its healthcheck gave it up: no queue"),
        (
            "unchecked-late",
            (
                "never became ready within 30s: its probes pass, and its healthcheck has not yet"
                " (it needs a shorter interval, or more time)"
            ),
        ),
    ],
)
def test_who_does_not_stay_ready_fails_its_try(state: str, why: str) -> None:
    sick = fleet("1.1 old ready", f"1.2 new {state}")

    assert decided(sick, spec(1, 1, 0)) == TryFailed(slot=1, replica="app-1.2", reason=why, last=True)


@pytest.mark.parametrize(
    ("replicas", "more"),
    [
        (["1.2 new ill"], {}),  # there is time
        (["1.2 new ill-for-long"], {"since_ns": NOW - 5 * SECOND}),  # nobody looked, or it was resumed
        (["1.2 new ill-for-long"], {"phase": Phase.SETTLING}),  # nothing better is to come
        (["1.1 old ill-for-long", "2.2 new ready"], {}),  # no doing of this rollout
        (["1.1 old ill-for-long", "2.2 new ill-for-long"], {}),  # what they share fails, no version
    ],
)
def test_an_illness_that_proves_nothing_fails_no_try(replicas: list[str], more: dict[str, Any]) -> None:
    assert not isinstance(decided(fleet(*replicas), spec(len(replicas), 1, 0), **more), TryFailed)


def test_a_wait_for_one_that_was_ready_ends_when_it_fails() -> None:
    decision = decided(fleet("1.2 new ill"), spec(1, 1, 0))

    assert decision == Wait(on="app-1.2 to answer its probes again", until_ns=NOW + SECOND)


def test_a_wait_for_a_drain_says_what_does_not_end_by_itself() -> None:
    old = replace(replica("1.1 old draining"), in_flight=7, streams=1, websockets=2)
    decision = decided((old, replica("1.2 new ready")), spec(1, 1, 0))

    assert isinstance(decision, Wait)
    assert decision.on == "app-1.1 to drain, 7 in flight (1 stream, 2 WebSockets)"


def test_without_the_wait_for_drains_they_are_stopped_and_never_restored() -> None:
    impatient = spec(1, 1, 0, wait_for_drain=False)

    assert words(decided(fleet("1.1 old draining", "1.2 new ready"), impatient)) == ["stop 1.1"]
    assert words(decided(fleet("1.1 new draining"), impatient)) == ["stop 1.1"]


def test_a_wholly_dead_old_fleet_is_replaced_at_once() -> None:
    """Deleting what is dead costs no availability: k8s replaces such a fleet one by one."""
    decision = decided(fleet(*(f"{slot}.1 old dead" for slot in range(1, 6))), spec(5, 1, 0))

    assert [word for word in words(decision) if word.startswith("create")] == [f"create {s}.2" for s in range(1, 6)]


def test_a_wholly_sick_old_fleet_goes_at_once_when_one_new_replica_shows_that_it_is_not_the_environment() -> None:
    sick = [f"{slot}.1 old ejected" for slot in range(2, 6)]

    before = decided(fleet("1.1 old ejected", *sick), spec(5, 1, 0))
    shown = decided(fleet("1.2 new ready", *sick), spec(5, 1, 0))

    assert words(before) == ["create 1.2", "start 1.2", "create 2.2"]
    assert words(shown) == ["create 2.2", "start 2.2", *(f"retire {s}.1" for s in range(3, 6)), "create 3.2"]


def test_recreate_makes_nothing_new_before_the_last_old_one_is_gone() -> None:
    recreate = spec(3, 0, 3, strategy=Strategy.RECREATE)

    assert words(decided(fleet("1.1 old ready", "2.1 old ready", "3.1 old ready"), recreate)) == [
        "retire 1.1",
        "retire 2.1",
        "retire 3.1",
    ]
    assert words(decided(fleet("3.1 old draining"), recreate)) == ["wait"]
    assert words(decided(fleet("3.1 old dead"), recreate)) == [
        "delete 3.1",
        *("create 1.1", "start 1.1"),
        *("create 2.1", "start 2.1"),
        *("create 3.2", "start 3.2"),
    ]


def test_rolling_begins_the_next_as_soon_as_there_is_room_and_a_wave_does_not() -> None:
    texts = ["1.1 old removable", "1.2 new ready", "2.1 old ready", "2.2 new joining", "3.1 old ready"]

    assert words(decided(fleet(*texts), spec(3, 3, 0, strategy=Strategy.ROLLING))) == ["stop 1.1", "create 3.2"]
    gone = texts[1:]
    assert words(decided(fleet(*gone), spec(3, 3, 0, strategy=Strategy.ROLLING))) == ["create 3.2", "start 3.2"]
    assert words(decided(fleet(*gone), spec(3, 3, 0))) == ["create 3.2"]


def test_a_fleet_of_one_may_be_rolled_in_place() -> None:
    """The proxy holds what comes meanwhile."""
    assert words(decided(fleet("1.1 old ready"), spec(1, 0, 1))) == ["retire 1.1", "create 1.2"]


def test_a_slot_that_failed_within_the_ratio_keeps_what_ran_before_and_the_others_go_on() -> None:
    tolerant = spec(4, 1, 0, max_failure_ratio=0.25)
    texts = ["1.1 old ready", "2.1 old ready", "3.1 old ready", "4.1 old ready"]

    acts = words(decided(fleet(*texts), tolerant, failed={1: "no"}, tries={1: 1}))
    assert acts == ["create 2.2", "start 2.2", "create 3.2"]


def test_at_the_end_a_failed_slot_pauses_the_rollout_for_all_n_must_be_seen_on_the_target() -> None:
    tolerant = spec(4, 1, 0, max_failure_ratio=0.25)
    texts = ["1.1 old ready", "2.2 new ready", "3.2 new ready", "4.2 new ready"]
    decision = decided(fleet(*texts), tolerant, failed={1: "no"}, tries={1: 1})

    assert isinstance(decision, Turn)
    assert (decision.happening, decision.slot) == (Happening.PAUSED, 1)


# (N, ratio, slots that failed, whether the version has failed): strictly more than the ratio
RATIOS = [(4, 0.0, 1, True), (4, 0.25, 1, False), (4, 0.25, 2, True), (10, 0.39, 4, True), (10, 0.4, 4, False)]


@pytest.mark.parametrize(("n", "ratio", "failed", "falls"), RATIOS)
def test_the_version_has_failed_once_more_slots_failed_than_the_ratio_allows(
    n: int, ratio: float, failed: int, falls: bool
) -> None:
    texts = [f"{slot}.1 old ready" for slot in range(1, n + 1)]
    wanted = spec(n, 1, 0, max_failure_ratio=ratio)
    decision = decided(fleet(*texts), wanted, failed=dict.fromkeys(range(1, failed + 1), "no"))

    assert (isinstance(decision, Turn) and decision.happening is Happening.TURNED_BACK) is falls


@st.composite
def any_fleet(draw: st.DrawFn) -> tuple[tuple[Replica, ...], RolloutSpec, dict[str, Any]]:
    """Whatever an engine and a proxy can show, however it came about: not only what a roll leads to."""
    n = draw(st.integers(1, 4))
    strategy = draw(st.sampled_from([Strategy.WAVES, Strategy.WAVES, Strategy.ROLLING, Strategy.RECREATE]))
    budgets = st.tuples(st.integers(0, 3), st.integers(0, n)).filter(any)
    surge, unavailable = (0, n) if strategy is Strategy.RECREATE else draw(budgets)
    names = st.tuples(st.integers(1, 5), st.integers(1, 4))
    shapes = st.tuples(st.sampled_from(["old", "new"]), st.sampled_from(sorted(SHAPES)))
    found = draw(st.dictionaries(names, shapes, max_size=8))
    texts = [f"{slot}.{generation} {age} {shape}" for (slot, generation), (age, shape) in sorted(found.items())]
    state = {
        "generations": draw(st.dictionaries(st.integers(1, 5), st.integers(1, 6), max_size=5)),
        "deaths": draw(st.sampled_from([{}, {}, {1: 4}])),
        "suspects": draw(st.sampled_from([{}, {}, {2: ("app-2.9", "ended early")}])),
        "spoiled": frozenset(draw(st.sampled_from([(), (), ("app-1.2",)]))),
    }
    waits = draw(st.sampled_from([True, True, False]))
    return fleet(*texts), spec(n, surge, unavailable, wait_for_drain=waits, strategy=strategy), state


@settings(max_examples=500)
@given(case=any_fleet())
def test_whatever_the_fleet_the_decision_is_legal_and_within_the_budgets(
    case: tuple[tuple[Replica, ...], RolloutSpec, dict[str, Any]],
) -> None:
    seen, wanted, state = case
    decision = decided(seen, wanted, **state)

    if isinstance(decision, Turn) and decision.happening is Happening.REACHED:
        assert len(seen) == wanted.replicas
        assert all(r.available and r.revision == NEW for r in seen)
    if isinstance(decision, tuple):
        assert decision, "no act is no decision"
        assert_sound(decision, seen, wanted, state["generations"])


def assert_sound(
    acts: tuple[Act, ...], seen: tuple[Replica, ...], wanted: RolloutSpec, generations: dict[int, int]
) -> None:
    by_name = {r.name: r for r in seen}
    created = [act for act in acts if act.verb is Verb.CREATE]
    begun = {act.replica: made_by(act, "new") for act in created}
    found = [(act, begun.get(act.replica) if act.verb is not Verb.CREATE else None) for act in acts]
    assert [act for act, made in found if not is_legal(act, made or by_name.get(act.replica))] == []
    lines = Counter(act.replica for act in acts)
    assert {name for name, many in lines.items() if many > 1} <= set(begun), "only what is made is started as well"
    started = [act for act in acts if act.verb is Verb.START]
    taken = sum(r.alive for r in seen)
    if started:
        assert taken + len(started) <= wanted.replicas + wanted.surge
    waiting = sum(r.container is Container.CREATED for r in seen) + len(created) - len(started)
    assert waiting <= wanted.surge + wanted.unavailable or not set(begun) - {act.replica for act in started}
    for act in created:
        used = [r.generation for r in seen if r.slot == act.slot]
        assert act.generation > max([*used, generations.get(act.slot, 0)])
        assert 1 <= act.slot <= wanted.replicas
    retired = [by_name[act.replica] for act in acts if act.verb is Verb.RETIRE]
    if lost := sum(r.available for r in retired):
        assert sum(r.available for r in seen) - lost >= wanted.replicas - wanted.unavailable


aims = st.builds(
    Aim,
    target=st.sampled_from([OLD, NEW]),
    replicas=st.integers(1, 5),
    settle=st.booleans(),
    wait_for_drain=st.booleans(),
    goals=st.dictionaries(st.integers(1, 5), st.sampled_from([OLD, NEW]), max_size=2),
    spoiled=st.frozensets(st.sampled_from(["app-1.1", "app-1.2", "app-2.1"]), max_size=2),
)
names = st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from(["old", "new"]))
changes = st.one_of(names, st.tuples(names, st.sampled_from(sorted(SHAPES))), aims)


def facts(it: Fleet) -> dict[str, Any]:
    """All that the planner reads of a fleet."""
    kept = (
        "total",
        "prepared",
        "available",
        "haunting",
        "others",
        "others_well",
        "strangers",
        "moving",
        "settled",
        "serving",
    )
    return {
        **{name: getattr(it, name) for name in (*kept, "admitted", "steps", "restorable", "ailing", "unready")},
        "listed": {kind: list(it.listed(kind)) for kind in it._listed},
        "slots": {number: it.slot(number) for number in range(1, 7)},
        "whole": it.whole,
        "drain": it.first_drain(),
        "joiner": it.first_joiner() and it.first_joiner().joined_ns,  # type: ignore[union-attr]
        "drains": it.drains(),
    }


@settings(max_examples=300)
@given(aim=aims, steps=st.lists(changes, max_size=25))
def test_a_fleet_that_was_told_of_changes_is_one_that_was_told_of_everything(aim: Aim, steps: list[Any]) -> None:
    kept = Fleet(aim)
    there: dict[str, Replica] = {}
    for step in steps:
        if isinstance(step, Aim):
            aim = step
            kept.aim_at(aim)
        elif isinstance(step[0], tuple):
            (slot, generation, age), shape = step
            r = replica(f"{slot}.{generation} {age} {shape}")
            there[r.name] = r
            kept.see(r)
        else:
            name = f"app-{step[0]}.{step[1]}"
            there.pop(name, None)
            kept.forget(name)
        assert facts(kept) == facts(Fleet(aim, there.values()))
    kept.sync([])
    assert facts(kept) == facts(Fleet(aim))
