"""What one look at a fleet leads to: worked examples, and what holds of every decision whatever the fleet."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model import Act, Container, Decision, Done, Failed, Fleet, Health, Place, Replica, RolloutSpec, Verb, Wait
from lab.planner import decide
from lab.transitions import is_legal

OLD, NEW = 1, 2
SECOND = 1_000_000_000
NOW = 1_000 * SECOND
SHAPES: dict[str, dict[str, object]] = {
    "created": {"container": Container.CREATED},
    "unrouted": {},
    "joining": {"place": Place.JOINING},
    "proven": {"place": Place.JOINING, "proven": True},
    "late": {"place": Place.JOINING, "joined_ns": NOW - 31 * SECOND},
    "late-proven": {"place": Place.JOINING, "joined_ns": NOW - 31 * SECOND, "proven": True},
    "ready": {"place": Place.READY},
    "ejected": {"place": Place.READY, "health": Health.EJECTED},
    "unproven": {"place": Place.READY, "health": Health.UNPROVEN},
    "draining": {"place": Place.DRAINING, "deadline_ns": NOW + 30 * SECOND, "proven": True},
    "shaken-draining": {"place": Place.DRAINING, "deadline_ns": NOW + 30 * SECOND},
    "ejected-draining": {"place": Place.DRAINING, "deadline_ns": NOW + 30 * SECOND, "health": Health.EJECTED},
    "late-draining": {"place": Place.DRAINING, "deadline_ns": NOW - 4 * SECOND},
    "overdue": {"place": Place.DRAINING, "deadline_ns": NOW - 6 * SECOND},
    "removable": {"place": Place.REMOVABLE},
    "dead": {"container": Container.EXITED},
    "dead-routed": {"container": Container.EXITED, "place": Place.READY},
}


def replica(text: str) -> Replica:
    """`1.2 new ready` is replica app-1.2 of the target, ready."""
    name, age, shape = text.split()
    slot, generation = (int(part) for part in name.split("."))
    base = Replica(
        name=f"app-{name}",
        slot=slot,
        generation=generation,
        revision=NEW if age == "new" else OLD,
        version=age,
        container=Container.RUNNING,
        container_id=f"id-{name}",
        joined_ns=NOW - SECOND,
    )
    return replace(base, **SHAPES[shape])  # type: ignore[arg-type]  # the fields of a Replica by name


def fleet(*texts: str, **more: object) -> Fleet:
    return Fleet(replicas=tuple(replica(text) for text in texts), now_ns=NOW, **more)  # type: ignore[arg-type]


def spec(n: int, surge: int, unavailable: int, **more: object) -> RolloutSpec:
    return RolloutSpec(target=NEW, replicas=n, surge=surge, unavailable=unavailable, **more)  # type: ignore[arg-type]


def words(decision: Decision) -> list[str]:
    if isinstance(decision, tuple):
        return [f"{act.verb} {act.replica.removeprefix('app-')}" for act in decision]
    return [type(decision).__name__.lower()]


# (what it shows, N, surge, unavailable, the fleet, what is to be done)
WORKED = [
    ("nothing runs: all slots are filled at once", 3, 1, 0, [], ["create 1.1", "create 2.1", "create 3.1"]),
    ("start-first begins with one new replica", 2, 1, 0, ["1.1 old ready", "2.1 old ready"], ["create 1.2"]),
    ("stop-first begins with one retirement", 2, 0, 1, ["1.1 old ready", "2.1 old ready"], ["retire 1.1"]),
    (
        "a wave is surge slots that start and unavailable slots that stop",
        3,
        1,
        1,
        ["1.1 old ready", "2.1 old ready", "3.1 old ready"],
        ["create 1.2", "retire 2.1"],
    ),
    (
        "a batch of two is started together",
        3,
        2,
        0,
        ["1.1 old ready", "2.1 old ready", "3.1 old ready"],
        ["create 1.2", "create 2.2"],
    ),
    ("a created replica is started", 1, 1, 0, ["1.1 old ready", "1.2 new created"], ["start 1.2"]),
    ("a running one joins", 1, 1, 0, ["1.1 old ready", "1.2 new unrouted"], ["join 1.2"]),
    ("a joining one is waited for", 1, 1, 0, ["1.1 old ready", "1.2 new joining"], ["wait"]),
    ("a proven one is admitted", 1, 1, 0, ["1.1 old ready", "1.2 new proven"], ["admit 1.2"]),
    ("its old one retires once the new one serves", 1, 1, 0, ["1.1 old ready", "1.2 new ready"], ["retire 1.1"]),
    ("an ejected new one lets no old one go", 1, 1, 0, ["1.1 old ready", "1.2 new ejected"], ["wait"]),
    ("nor does one that was not probed yet", 1, 1, 0, ["1.1 old ready", "1.2 new unproven"], ["wait"]),
    ("a fleet that was not probed yet is not done", 1, 1, 0, ["1.1 new unproven"], ["wait"]),
    ("a drain is waited for", 1, 1, 0, ["1.1 old draining", "1.2 new ready"], ["wait"]),
    ("a drain that is late is waited for still", 1, 1, 0, ["1.1 old late-draining", "1.2 new ready"], ["wait"]),
    ("an overdue drain is stopped", 1, 1, 0, ["1.1 old overdue", "1.2 new ready"], ["stop 1.1"]),
    ("what is removable is stopped", 1, 1, 0, ["1.1 old removable", "1.2 new ready"], ["stop 1.1"]),
    ("what ended is taken out of routing", 1, 1, 0, ["1.1 old dead-routed", "1.2 new ready"], ["unroute 1.1"]),
    ("and then deleted", 1, 1, 0, ["1.1 old dead", "1.2 new ready"], ["delete 1.1"]),
    ("all is as asked", 2, 1, 0, ["1.1 new ready", "2.3 new ready"], ["done"]),
    (
        "draining counts in the total: no second wave beside it",
        2,
        1,
        0,
        ["1.1 old draining", "1.2 new ready", "2.1 old ready"],
        ["wait"],
    ),
    (
        "draining counts in the total: an empty slot waits for its room",
        2,
        1,
        0,
        ["1.1 old draining", "1.2 new ready", "1.3 old draining"],
        ["wait"],
    ),
    (
        "the dead cost nothing: their slot is filled at once",
        2,
        1,
        0,
        ["1.1 old dead", "1.2 old dead", "2.1 old ready"],
        ["delete 1.1", "delete 1.2", "create 1.3"],
    ),
    (
        "the retirement of what was never ready is free",
        2,
        1,
        0,
        ["1.1 old joining", "2.1 old ready"],
        ["retire 1.1", "create 1.2"],
    ),
    (
        "the retirement of what is ejected is free",
        2,
        0,
        1,
        ["1.1 old ready", "2.1 old ejected"],
        ["retire 2.1"],
    ),
    (
        "the retirement of what was not probed yet is not free: it may well serve",
        2,
        0,
        1,
        ["1.1 old unproven", "2.1 old unproven"],
        ["wait"],
    ),
    (
        "slots beyond N that were not probed yet are kept",
        1,
        1,
        0,
        ["1.1 new unproven", "2.1 new unproven"],
        ["wait"],
    ),
    (
        "nothing ready is retired while a loss is not made good",
        3,
        0,
        1,
        ["1.1 old ready", "2.1 old ready", "3.2 new joining"],
        ["wait"],
    ),
    (
        "a draining replica of the target is restored, not replaced",
        2,
        1,
        0,
        ["1.1 new draining", "1.2 old joining", "2.1 new ready"],
        ["retire 1.2", "restore 1.1"],
    ),
    ("an ejected one is not restored", 1, 1, 0, ["1.1 new ejected-draining"], ["wait"]),
    ("one whose last probe failed would be refused", 1, 1, 0, ["1.1 new shaken-draining"], ["wait"]),
    ("one that is overdue is not restored", 1, 1, 0, ["1.1 new overdue"], ["stop 1.1"]),
    (
        "slots beyond N are retired when N shrinks",
        1,
        1,
        0,
        ["1.1 new ready", "2.1 new ready", "3.1 new ready"],
        ["retire 2.1", "retire 3.1"],
    ),
    (
        "slots beyond N are kept while they are needed",
        2,
        1,
        0,
        ["1.1 new ready", "2.1 new joining", "3.1 new ready"],
        ["wait"],
    ),
    ("an old one that was never routed is stopped", 1, 1, 0, ["1.1 old unrouted", "1.2 new ready"], ["stop 1.1"]),
    ("and its slot is filled once", 1, 1, 0, ["1.1 old unrouted"], ["stop 1.1", "create 1.2"]),
    ("an old one that was never started is deleted", 1, 1, 0, ["1.1 old created", "1.2 new ready"], ["delete 1.1"]),
    (
        "of two of the target the newest stays",
        1,
        2,
        0,
        ["1.1 new ready", "1.2 new ready"],
        ["retire 1.1"],
    ),
]


@pytest.mark.parametrize(
    ("n", "surge", "unavailable", "texts", "expected"), [row[1:] for row in WORKED], ids=[row[0] for row in WORKED]
)
def test_worked_example(n: int, surge: int, unavailable: int, texts: list[str], expected: list[str]) -> None:
    assert words(decide(fleet(*texts), spec(n, surge, unavailable), "app")) == expected


def test_a_replica_that_is_not_ready_in_time_is_the_version_s_failure() -> None:
    decision = decide(fleet("1.1 old ready", "1.2 new late"), spec(1, 1, 0), "app")

    assert decision == Failed(slot=1, reason="never became ready within 30s")


def test_a_replica_that_was_proven_late_is_still_admitted() -> None:
    assert words(decide(fleet("1.1 old ready", "1.2 new late-proven"), spec(1, 1, 0), "app")) == ["admit 1.2"]


def test_an_old_replica_that_is_not_ready_in_time_is_not_the_new_version_s_failure() -> None:
    assert words(decide(fleet("1.1 old late"), spec(1, 1, 0), "app")) == ["retire 1.1", "create 1.2"]


def test_one_death_before_it_was_ready_is_enough() -> None:
    decision = decide(fleet("1.1 old ready", early_deaths=frozenset({1})), spec(1, 1, 0), "app")

    assert decision == Failed(slot=1, reason="ended before it was ever ready")


@pytest.mark.parametrize(("deaths", "fails"), [(3, False), (4, True)])
def test_deaths_after_ready_are_forgiven_as_often_as_restarts_allow(deaths: int, fails: bool) -> None:
    decision = decide(fleet("2.9 new ready", late_deaths={1: deaths}), spec(2, 1, 0, restarts=3), "app")

    assert isinstance(decision, Failed) is fails


def test_a_generation_is_never_used_twice() -> None:
    remembered = fleet("1.2 old dead", generations={1: 7, 2: 3})

    assert words(decide(remembered, spec(2, 1, 0), "app")) == ["delete 1.2", "create 1.8", "create 2.4"]


def test_nothing_is_created_while_a_dead_replica_is_routed_for_it_might_get_its_address() -> None:
    assert words(decide(fleet("1.2 old dead-routed"), spec(2, 1, 0), "app")) == ["unroute 1.2"]


def test_a_wait_names_what_it_waits_for_and_until_when() -> None:
    drain = decide(fleet("1.1 old draining", "1.2 new ready"), spec(1, 1, 0), "app")
    ready = decide(fleet("1.1 old ready", "1.2 new joining"), spec(1, 1, 0), "app")
    probes = decide(fleet("1.2 new ejected"), spec(1, 1, 0), "app")
    first = decide(fleet("1.2 new unproven"), spec(1, 1, 0), "app")

    assert drain == Wait(on="app-1.1 to drain, 0 in flight", until_ns=NOW + 30 * SECOND)
    assert ready == Wait(on="app-1.2 to become ready", until_ns=NOW - SECOND + 30 * SECOND)
    assert probes == Wait(on="app-1.2 to answer its probes again")
    assert first == Wait(on="app-1.2 to answer its probes, since the proxy came back")


def test_a_wait_for_a_drain_says_what_does_not_end_by_itself() -> None:
    old = replace(replica("1.1 old draining"), in_flight=7, streams=1, websockets=2)
    decision = decide(replace(fleet(), replicas=(old, replica("1.2 new ready"))), spec(1, 1, 0), "app")

    assert isinstance(decision, Wait)
    assert decision.on == "app-1.1 to drain, 7 in flight (1 stream, 2 WebSockets)"


def test_without_the_wait_for_drains_they_are_stopped_and_never_restored() -> None:
    impatient = spec(1, 1, 0, wait_for_drain=False)

    assert words(decide(fleet("1.1 old draining", "1.2 new ready"), impatient, "app")) == ["stop 1.1"]
    assert words(decide(fleet("1.1 new draining"), impatient, "app")) == ["stop 1.1"]


@st.composite
def any_fleet(draw: st.DrawFn) -> tuple[Fleet, RolloutSpec]:
    """Whatever an engine and a proxy can show, however it came about: not only what a roll leads to."""
    n = draw(st.integers(1, 4))
    budgets = st.tuples(st.integers(0, 3), st.integers(0, n)).filter(any)
    surge, unavailable = draw(budgets)
    names = st.tuples(st.integers(1, 5), st.integers(1, 4))
    shapes = st.tuples(st.sampled_from(["old", "new"]), st.sampled_from(sorted(SHAPES)))
    found = draw(st.dictionaries(names, shapes, max_size=8))
    texts = [f"{slot}.{generation} {age} {shape}" for (slot, generation), (age, shape) in sorted(found.items())]
    seen = fleet(
        *texts,
        generations=draw(st.dictionaries(st.integers(1, 5), st.integers(1, 6), max_size=5)),
        early_deaths=frozenset(draw(st.sampled_from([(), (), (), (2,)]))),
        late_deaths=draw(st.sampled_from([{}, {}, {1: 4}])),
    )
    return seen, spec(n, surge, unavailable, wait_for_drain=draw(st.sampled_from([True, True, False])))


@settings(max_examples=400, deadline=None)
@given(case=any_fleet())
def test_whatever_the_fleet_the_decision_is_legal_and_within_the_budgets(case: tuple[Fleet, RolloutSpec]) -> None:
    seen, wanted = case
    decision = decide(seen, wanted, "app")

    if isinstance(decision, Done):
        assert len(seen.replicas) == wanted.replicas
        assert all(r.available and r.revision == NEW for r in seen.replicas)
    if isinstance(decision, tuple):
        assert decision, "no act is no decision"
        assert_sound(decision, seen, wanted)


def assert_sound(acts: tuple[Act, ...], seen: Fleet, wanted: RolloutSpec) -> None:
    by_name = {r.name: r for r in seen.replicas}
    assert all(is_legal(act, by_name.get(act.replica)) for act in acts)
    assert max(Counter(act.replica for act in acts).values()) == 1
    assert_within_total(acts, seen, wanted)
    retired = [by_name[act.replica] for act in acts if act.verb is Verb.RETIRE]
    if lost := sum(r.available for r in retired):
        assert sum(r.available for r in seen.replicas) - lost >= wanted.replicas - wanted.unavailable


def assert_within_total(acts: tuple[Act, ...], seen: Fleet, wanted: RolloutSpec) -> None:
    created = [act for act in acts if act.verb is Verb.CREATE]
    taken = sum(r.container is not Container.EXITED for r in seen.replicas)
    if created:
        assert taken + len(created) <= wanted.replicas + wanted.surge
    for act in created:
        used = [r.generation for r in seen.replicas if r.slot == act.slot]
        assert act.generation > max([*used, seen.generations.get(act.slot, 0)])
        assert 1 <= act.slot <= wanted.replicas
