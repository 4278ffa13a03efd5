"""What the journal's events add up to: counts, the fleet's history, and the spans that the proof is told."""

import pytest

from lab.folds import Counts, counts_of, history_of
from lab.model import Container, EjectedBy, Health, Place, Probe, Revision
from lab.observation import merge
from lab.operations.timeline import deaths_of, services_of, steps_of, swaps_of
from lab.ports import Event, Route, Seen
from lab.proof import Death, Service, Step, Swap


def event(type: str, run: str = "r", t: int = 0, **data: object) -> Event:
    return Event(type=type, run=run, t_ns=t, data=data)


def act(stage: str, verb: str, name: str, t: int = 0, run: str = "r", **more: object) -> Event:
    slot, generation = (int(part) for part in name.split("."))
    about = {"verb": verb, "replica": f"app-{name}", "slot": slot, "generation": generation, "version": "v1"}
    return event(f"act-{stage}", run, t, **about, **more)


def died(name: str, run: str = "r", revision: int = 2, t: int = 0, **more: object) -> Event:
    about = {"replica": f"app-{name}", "slot": int(name[0]), "revision": revision, "exit_code": 1, "oom": False}
    return event("replica-died", run, t, **(about | more))


def counts(*events: Event) -> Counts:
    return counts_of(events)


def test_the_highest_generation_of_a_slot_is_remembered_from_the_intents() -> None:
    seen = counts(
        act("intended", "create", "1.4", run="earlier"),
        act("intended", "create", "1.2"),
        act("intended", "create", "2.1"),
        act("intended", "join", "3.9"),
    )

    assert seen.generations == {1: 4, 2: 1, 3: 9}


@pytest.mark.parametrize("verb", ["stop", "delete"])
def test_what_was_stopped_on_purpose_is_no_death(verb: str) -> None:
    assert counts(act("intended", verb, "1.1")).ended == {"app-1.1"}


def test_after_the_lab_was_removed_the_names_begin_again() -> None:
    seen = counts(
        act("intended", "create", "1.4", run="earlier"),
        died("1.4", run="earlier"),
        event("lab-removed", "", removed=7),
        act("intended", "create", "1.1"),
    )

    assert (seen.generations, seen.ended) == ({1: 1}, set())


def recorded(number: int) -> Event:
    version = f"v{number}"
    return event(
        "revision-recorded", "", number=number, version=version, serves_as=version, image_id="sha256:0", spec="{}"
    )


def started(run: str, target: int, replicas: int = 3) -> Event:
    return event("rollout-started", run, target=target, replicas=replicas, kind="roll")


def ended(run: str, reached: int | None) -> Event:
    return event("rollout-ended", run, reached=reached)


UP = (recorded(1), recorded(2), started("up", 1), ended("up", 1))


def test_an_empty_journal_is_a_lab_that_was_never_up() -> None:
    history = history_of([])

    assert (history.current, history.previous, history.replicas, history.running) == (None, None, 0, None)


def test_the_last_revision_reached_is_the_current_one_and_the_one_before_it_the_previous() -> None:
    history = history_of([*UP, started("r", 2), ended("r", 2)])

    assert (history.current, history.previous, history.running) == (2, 1, None)
    assert history.revisions[2] == Revision(number=2, version="v2", serves_as="v2", image_id="sha256:0", spec="{}")


def test_a_roll_that_was_rolled_back_changes_neither() -> None:
    history = history_of([*UP, started("a", 2), ended("a", 2), started("b", 1), ended("b", 2)])

    assert (history.current, history.previous) == (2, 1)


def test_rolling_back_and_forth_swaps_the_two() -> None:
    history = history_of([*UP, started("a", 2), ended("a", 2), started("b", 1), ended("b", 1)])

    assert (history.current, history.previous) == (1, 2)


def test_the_first_fleet_has_nothing_before_it() -> None:
    assert history_of(UP).previous is None


@pytest.mark.parametrize("tail", [[], [event("rollout-paused", "r", reached=None)]])
def test_a_rollout_that_was_paused_or_killed_has_not_ended(tail: list[Event]) -> None:
    history = history_of([*UP, started("r", 2, replicas=5), *tail])

    assert (history.current, history.running, history.rolling_to, history.replicas) == (1, "r", 2, 5)


def test_a_rollout_that_failed_has_ended_and_reached_nothing() -> None:
    history = history_of([*UP, started("r", 2), ended("r", None)])

    assert (history.current, history.running, history.rolling_to) == (1, None, None)


def test_after_the_lab_was_removed_only_the_revisions_are_known() -> None:
    history = history_of([*UP, started("r", 2), event("lab-removed", "", removed=7)])

    assert (history.current, history.previous, history.running, history.replicas) == (None, None, None, 0)
    assert set(history.revisions) == {1, 2}


def step(name: str, replica: str | None, start: int, end: int) -> Step:
    return Step(name=name, replica=replica, start_ns=start, end_ns=end)


def test_a_drain_reaches_from_the_retirement_to_the_stop() -> None:
    steps = steps_of(
        [
            act("intended", "retire", "1.1", 10),
            act("done", "retire", "1.1", 12),
            act("intended", "stop", "1.1", 20),
            act("done", "stop", "1.1", 25),
        ]
    )

    assert steps == (
        step("retire", "app-1.1", 10, 12),
        step("drain", "app-1.1", 12, 20),
        step("stop", "app-1.1", 20, 25),
    )


@pytest.mark.parametrize("end", [act("intended", "restore", "1.1", 20), died("1.1", t=20)])
def test_a_drain_ends_with_the_replica_s_return_or_its_death(end: Event) -> None:
    steps = steps_of([act("intended", "retire", "1.1", 10), act("done", "retire", "1.1", 12), end])

    assert steps[-1] == step("drain", "app-1.1", 12, 20)


def test_a_refused_retirement_begins_no_drain() -> None:
    steps = steps_of(
        [
            act("intended", "retire", "1.1", 10),
            act("done", "retire", "1.1", 12, refused="illegal-place"),
            act("intended", "stop", "1.1", 20),
        ]
    )

    assert [s.name for s in steps] == ["retire"]


def test_schema_steps_are_steps_of_no_replica() -> None:
    steps = steps_of(
        [
            event("schema-step", t=5, phase="expanded", what="begins"),
            event("schema-step", t=9, phase="expanded", what="done"),
        ]
    )

    assert steps == (step("schema expanded", None, 5, 9),)


def test_steps_of_two_replicas_overlap_and_one_without_an_end_is_left_out() -> None:
    steps = steps_of(
        [
            act("intended", "create", "1.2", 1),
            act("intended", "create", "2.2", 2),
            act("done", "create", "2.2", 3),
        ]
    )

    assert steps == (step("create", "app-2.2", 2, 3),)


def test_a_swap_tells_what_was_in_flight_at_its_retirement_and_at_its_stop() -> None:
    swaps = swaps_of(
        [
            act("intended", "retire", "1.1", in_flight=7),
            act("intended", "stop", "1.1", in_flight=1),
            act("done", "stop", "1.1", exit_code=137, oom=True),
        ]
    )

    assert swaps == (
        Swap(
            replica="app-1.1",
            version="v1",
            in_flight_at_retire=7,
            in_flight_at_stop=1,
            exit_code=137,
            oom=True,
        ),
    )


def test_a_container_that_was_gone_at_its_stop_has_no_exit_code() -> None:
    (swap,) = swaps_of([act("done", "stop", "1.1", exit_code=None, oom=False)])

    assert (swap.exit_code, swap.in_flight_at_retire, swap.in_flight_at_stop) == (None, None, None)


def test_deaths_are_told_with_their_time() -> None:
    assert deaths_of([died("1.1", t=7, exit_code=137, oom=True), act("done", "stop", "2.1")]) == (
        Death(replica="app-1.1", t_ns=7, exit_code=137, oom=True),
    )


def test_who_was_killed_in_the_moment_in_which_it_was_stopped_died() -> None:
    stopped = act("done", "stop", "1.1", t=9, exit_code=137, oom=False, killed=True)
    at_its_deadline = act("done", "stop", "2.1", t=9, exit_code=137, oom=False, killed=False)
    assert deaths_of([stopped, at_its_deadline]) == (Death(replica="app-1.1", t_ns=9, exit_code=137, oom=False),)


ROLL_TO_2 = event("rollout-started", target=2)
NEW = {"revision": 2}


def test_a_replica_of_the_new_version_serves_from_its_admission_to_its_last_retirement() -> None:
    services = services_of(
        [
            ROLL_TO_2,
            act("intended", "admit", "1.2", 9, **NEW),
            act("done", "admit", "1.2", 10, **NEW),
            act("done", "retire", "1.2", 20, **NEW),
            act("done", "restore", "1.2", 25, **NEW),
            act("done", "retire", "1.2", 30, **NEW),
            act("done", "admit", "2.2", 12, **NEW),
        ]
    )

    assert services == (
        Service(replica="app-1.2", from_ns=10, until_ns=30),
        Service(replica="app-2.2", from_ns=12, until_ns=None),
    )


def test_a_service_ends_with_a_death_and_a_later_retirement_does_not_prolong_it() -> None:
    admitted = [ROLL_TO_2, act("done", "admit", "1.2", 10, **NEW), died("1.2", t=17)]

    assert services_of(admitted) == (Service(replica="app-1.2", from_ns=10, until_ns=17),)


def test_old_replicas_and_those_that_were_never_admitted_do_no_service_of_the_new_version() -> None:
    others = [
        ROLL_TO_2,
        act("done", "admit", "3.1", 10, revision=1),
        act("done", "retire", "1.1", 10, revision=1),
        act("done", "join", "1.2", 11, **NEW),
        act("done", "admit", "1.2", 12, **NEW, refused="not-proven"),
        act("done", "retire", "1.2", 13, **NEW),
    ]

    assert services_of(others) == ()


def test_an_admission_that_its_controller_did_not_live_to_tell_began_when_it_was_meant() -> None:
    killed = [ROLL_TO_2, act("intended", "admit", "1.2", 10, **NEW), died("1.2", t=17)]

    assert services_of(killed) == (Service(replica="app-1.2", from_ns=10, until_ns=17),)


def seen(name: str, **more: object) -> Seen:
    slot, generation = (int(part) for part in name.split("."))
    base: dict[str, object] = {"version": "v1", "container": Container.RUNNING, "container_id": f"id-{name}"}
    return Seen(name=f"app-{name}", slot=slot, generation=generation, revision=1, **(base | more))  # type: ignore[arg-type]


def route(name: str) -> Route:
    slot, generation = (int(part) for part in name.split("."))
    return Route(
        name=f"app-{name}",
        slot=slot,
        generation=generation,
        version="v1",
        address="10.0.0.1:8080",
        place=Place.DRAINING,
        health=Health.EJECTED,
        proven=True,
        in_flight=4,
        claimed=9,
        aborted=2,
        joined_ns=5,
        retired_ns=6,
        deadline_ns=7,
        probe=Probe(ok=True, status=200, body=""),
        streams=1,
        websockets=3,
        cut=8,
        ejected_by=EjectedBy.ERRORS,
    )


def test_a_container_that_the_proxy_does_not_know_has_no_place() -> None:
    (replica,) = merge((seen("1.1"),), ())

    assert (replica.place, replica.in_flight, replica.available) == (None, 0, False)


def test_what_the_engine_and_the_proxy_say_of_a_replica_is_joined_by_its_name() -> None:
    (replica,) = merge((seen("1.1", exit_code=3, oom=True),), (route("1.1"),))

    assert (replica.container_id, replica.revision, replica.exit_code, replica.oom) == ("id-1.1", 1, 3, True)
    assert (replica.place, replica.health, replica.in_flight) == (Place.DRAINING, Health.EJECTED, 4)
    assert (replica.proven, replica.aborted, replica.probe) == (True, 2, route("1.1").probe)
    assert (replica.streams, replica.websockets, replica.cut, replica.ejected_by) == (1, 3, 8, EjectedBy.ERRORS)
    assert (replica.joined_ns, replica.retired_ns, replica.deadline_ns) == (5, 6, 7)


def test_a_route_whose_container_is_gone_is_a_replica_that_ended() -> None:
    (replica,) = merge((), (route("2.3"),))

    assert (replica.name, replica.slot, replica.generation) == ("app-2.3", 2, 3)
    assert (replica.container, replica.container_id, replica.place) == (Container.EXITED, "", Place.DRAINING)


def test_replicas_come_by_slot_and_generation() -> None:
    merged = merge((seen("2.1"), seen("1.10"), seen("1.9")), (route("3.1"), route("1.2")))

    assert [r.name for r in merged] == ["app-1.2", "app-1.9", "app-1.10", "app-2.1", "app-3.1"]
