"""Fleets in words, what the planner makes of them, and the worked examples: a table that docs/ shows as well."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.gates import Samples
from lab.model import Check, Container, Health, Place, Replica, RolloutSpec
from lab.planner import Decision, Fleet, Observations, RolloutState, Turn, decide

NOTHING = Samples()
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
    "unchecked": {"place": Place.JOINING, "proven": True, "check": Check.STARTING},
    "unchecked-late": {
        "place": Place.JOINING,
        "joined_ns": NOW - 31 * SECOND,
        "proven": True,
        "check": Check.STARTING,
    },
    "checked": {"place": Place.JOINING, "proven": True, "check": Check.HEALTHY},
    "given-up": {"place": Place.JOINING, "check": Check.UNHEALTHY, "check_said": "no queue"},
    "ready": {"place": Place.READY},
    "unhealthy": {"place": Place.READY, "check": Check.UNHEALTHY},
    "ejected": {"place": Place.READY, "health": Health.EJECTED},
    "ill": {"place": Place.READY, "health": Health.EJECTED, "ejected_ns": NOW - 29 * SECOND, "falls": 1},
    "ill-for-long": {"place": Place.READY, "health": Health.EJECTED, "ejected_ns": NOW - 31 * SECOND, "falls": 1},
    "ill-again": {"place": Place.READY, "health": Health.EJECTED, "ejected_ns": NOW - SECOND, "falls": 3},
    "flapping": {"place": Place.JOINING, "joined_ns": NOW - 31 * SECOND, "relapses": 40},
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


def fleet(*texts: str, **generations: int) -> tuple[Replica, ...]:
    return tuple(replica(text) for text in texts)


def spec(n: int, surge: int, unavailable: int, **more: Any) -> RolloutSpec:
    return RolloutSpec(target=NEW, replicas=n, surge=surge, unavailable=unavailable, **{"back_to": OLD, **more})


def decided(
    replicas: tuple[Replica, ...],
    wanted: RolloutSpec,
    *,
    generations: Mapping[int, int] | None = None,
    now_ns: int = NOW,
    samples: Samples = NOTHING,
    trouble: str = "",
    busy: Sequence[str] = (),
    **state: Any,
) -> Decision:
    """What one look at these replicas leads to; `state`: what the journal says of the rollout."""
    stands = RolloutState(
        **{"run": "r", "target": NEW, "replicas": wanted.replicas, "progress_ns": now_ns, "entered_ns": now_ns, **state}
    )
    aim = stands.aim(wanted.back_to, wait_for_drain=wanted.wait_for_drain)
    seen = Observations(now_ns=now_ns, samples=samples, trouble=trouble)
    there = Fleet(aim, replicas, generations)
    there.busy.update(busy)
    return decide(there, wanted, stands, seen)


def words(decision: Decision) -> list[str]:
    if isinstance(decision, tuple):
        return [f"{act.verb} {act.replica.removeprefix('app-')}" for act in decision]
    if isinstance(decision, Turn):
        return [str(decision.happening)]
    return [type(decision).__name__.lower()]


# (what it shows, N, surge, unavailable, the fleet, what is to be done)
WORKED = [
    (
        "nothing runs: all slots are filled at once",
        3,
        1,
        0,
        [],
        ["create 1.1", "start 1.1", "create 2.1", "start 2.1", "create 3.1", "start 3.1"],
    ),
    (
        "start-first begins with one new replica",
        2,
        1,
        0,
        ["1.1 old ready", "2.1 old ready"],
        ["create 1.2", "start 1.2", "create 2.2"],
    ),
    (
        "stop-first begins with one retirement",
        2,
        0,
        1,
        ["1.1 old ready", "2.1 old ready"],
        ["retire 1.1", "create 1.2"],
    ),
    (
        "a wave is surge slots that start and unavailable slots that stop",
        3,
        1,
        1,
        ["1.1 old ready", "2.1 old ready", "3.1 old ready"],
        ["create 1.2", "start 1.2", "retire 2.1", "create 2.2", "create 3.2"],
    ),
    (
        "a batch of two is started together",
        3,
        2,
        0,
        ["1.1 old ready", "2.1 old ready", "3.1 old ready"],
        ["create 1.2", "start 1.2", "create 2.2", "start 2.2", "create 3.2"],
    ),
    ("a created replica is started", 1, 1, 0, ["1.1 old ready", "1.2 new created"], ["start 1.2"]),
    (
        "while one becomes ready the next is made, and not started",
        3,
        1,
        0,
        ["1.1 old ready", "1.2 new joining", "2.1 old ready", "3.1 old ready"],
        ["create 2.2"],
    ),
    (
        "one that was made is waited with, until there is room: it costs no budget",
        2,
        1,
        0,
        ["1.1 old draining", "1.2 new ready", "2.1 old ready", "2.2 new created"],
        ["wait"],
    ),
    (
        "no more than one wave is made ahead",
        3,
        1,
        0,
        ["1.1 old ready", "1.2 new joining", "2.1 old ready", "2.2 new created", "3.1 old ready"],
        ["wait"],
    ),
    (
        "stop-first makes the new one while the old one drains",
        1,
        0,
        1,
        ["1.1 old draining"],
        ["create 1.2"],
    ),
    ("and starts it when there is room", 1, 0, 1, ["1.1 old dead", "1.2 new created"], ["delete 1.1", "start 1.2"]),
    ("a running one joins", 1, 1, 0, ["1.1 old ready", "1.2 new unrouted"], ["join 1.2"]),
    ("a joining one is waited for", 1, 1, 0, ["1.1 old ready", "1.2 new joining"], ["wait"]),
    ("a proven one is admitted", 1, 1, 0, ["1.1 old ready", "1.2 new proven"], ["admit 1.2"]),
    ("one whose healthcheck has not passed is not", 1, 1, 0, ["1.1 old ready", "1.2 new unchecked"], ["wait"]),
    ("and then it is", 1, 1, 0, ["1.1 old ready", "1.2 new checked"], ["admit 1.2"]),
    ("once it serves its probes alone count", 1, 1, 0, ["1.1 old ready", "1.2 new unhealthy"], ["retire 1.1"]),
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
    ("all is as asked", 2, 1, 0, ["1.1 new ready", "2.3 new ready"], ["reached"]),
    (
        "draining counts in the total: no second wave beside it",
        2,
        1,
        0,
        ["1.1 old draining", "1.2 new ready", "2.1 old ready"],
        ["create 2.2"],
    ),
    (
        "draining counts in the total: an empty slot waits for its room",
        2,
        1,
        0,
        ["1.1 old draining", "1.2 new ready", "1.3 old draining"],
        ["create 2.1"],
    ),
    (
        "the dead cost nothing: their slot is filled at once",
        2,
        1,
        0,
        ["1.1 old dead", "1.2 old dead", "2.1 old ready"],
        ["delete 1.1", "delete 1.2", "create 1.3", "start 1.3", "create 2.2"],
    ),
    (
        "the retirement of what was never ready is free",
        2,
        1,
        0,
        ["1.1 old joining", "2.1 old ready"],
        ["retire 1.1", "create 1.2", "start 1.2", "create 2.2"],
    ),
    (
        "the retirement of what is ejected is free",
        2,
        0,
        1,
        ["1.1 old ready", "2.1 old ejected"],
        ["retire 2.1", "create 2.2"],
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
        ["create 1.2"],
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
    ("and its slot is filled once", 1, 1, 0, ["1.1 old unrouted"], ["stop 1.1", "create 1.2", "start 1.2"]),
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
