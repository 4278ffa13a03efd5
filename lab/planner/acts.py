"""PURE: the acts that may be done now, all at once, within the budgets of P3.

Running replicas, draining ones included, are never above N + surge; serving ones are never taken below N - unavailable
by an act of ours. What is dead or was never ready costs no budget. What is sick goes first, and once one new replica
shows that it is not the environment, all that is sick may go.

What has no room yet is prepared: the containers of one wave, and no more, are made and wait for their start.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from lab.model import Act, Place, Replica, RolloutSpec, Strategy, Verb, replica_name
from lab.planner.fleet import Fleet
from lab.planner.slots import Kind

DRAIN_OVERDUE_NS = 5_000_000_000
"""The proxy ends a drain at its deadline; one that is this late is not waited for any longer."""
_ENDS = frozenset({Verb.STOP, Verb.UNROUTE, Verb.DELETE})


class Leave(NamedTuple):
    """How much may be done: `begin` replacements, `prepare` them, `repair` what is missing, or only let things end."""

    begin: bool
    repair: bool
    prepare: bool = False


EVERYTHING = Leave(begin=True, repair=True, prepare=True)
UNPREPARED = Leave(begin=True, repair=True)
WATCHES = Leave(begin=False, repair=True, prepare=True)
REPAIRS = Leave(begin=False, repair=True)
ENDS = Leave(begin=False, repair=False)


def acts_of(fleet: Fleet, spec: RolloutSpec, leave: Leave, now_ns: int) -> tuple[Act, ...]:
    acts = list(_steps(fleet, now_ns))
    if not leave.repair:
        return tuple(act for act in acts if act.verb in _ENDS)
    acts += [_act(Verb.RESTORE, fleet.restorable[s]) for s in sorted(fleet.restorable) if not _dying(fleet, s, now_ns)]
    admitting = any(act.verb is Verb.ADMIT for act in acts)
    creations, retirements = _candidates(fleet, spec, begin=leave.begin, idle=not (admitting or fleet.moving))
    # an address is reused at once: nothing new may get the one of a dead replica that is still routed
    haunted = fleet.haunting or any(act.verb is Verb.STOP and fleet.by_name[act.replica].place for act in acts)
    room = 0 if haunted else max(_room(fleet, spec), 0)
    for slot in creations[:room]:
        acts += _starting(fleet, spec, slot)
    acts += _retirements(fleet, spec, retirements)
    if leave.prepare and spec.strategy is not Strategy.RECREATE and (acts or fleet.moving):
        acts += _preparations(fleet, spec, creations, room)
    return tuple(acts)


def _steps(fleet: Fleet, now_ns: int) -> Iterator[Act]:
    """What every replica needs next on its own way in or out."""
    for number in sorted(fleet.steps):
        for verb, r in fleet.steps[number].steps:
            if r.name not in fleet.busy:
                yield _act(verb, r)
    first = fleet.first_drain()
    if first is not None and _overdue(first, now_ns) and fleet.aim.wait_for_drain:
        for r in fleet.drains():
            if _overdue(r, now_ns):
                yield _act(Verb.STOP, r)


def _overdue(r: Replica, now_ns: int) -> bool:
    return r.deadline_ns is not None and now_ns > r.deadline_ns + DRAIN_OVERDUE_NS


def _dying(fleet: Fleet, slot: int, now_ns: int) -> bool:
    return _overdue(fleet.restorable[slot], now_ns)


class _Candidates(NamedTuple):
    """Slots, most urgent first."""

    create: list[int]
    retire: list[int]


def _candidates(fleet: Fleet, spec: RolloutSpec, *, begin: bool, idle: bool) -> _Candidates:
    empty = fleet.listed(Kind.EMPTY)
    due = [*fleet.listed(Kind.REPLACED), *fleet.listed(Kind.BEYOND)]
    if not begin:
        return _Candidates(empty, due)
    sick, well = fleet.listed(Kind.SICK), fleet.listed(Kind.WELL)
    match spec.strategy:
        case Strategy.RECREATE:
            return _Candidates([] if fleet.strangers else empty, [*due, *sick, *well])
        case Strategy.ROLLING:
            room = _room(fleet, spec) - len(empty)
            first = _first(sick, well, 0, room)
            rest = _first(sick, well, max(room, 0), fleet.available)
            return _Candidates([*empty, *first], [*due, *rest, *fleet.listed(Kind.UNSURE)])
        case Strategy.WAVES:
            free = sick if fleet.serving else []
            if not idle:
                return _Candidates(empty, [*due, *free])
            first = _first(sick, well, 0, spec.surge)
            second = _first(sick, well, spec.surge, spec.unavailable)
            return _Candidates(
                [*empty, *first], [*due, *dict.fromkeys([*second, *(s for s in free if s not in first)])]
            )


def _first(sick: list[int], well: list[int], after: int, many: int) -> list[int]:
    """So many of both after the first ones; the sick come first."""
    if many <= 0:
        return []
    end = after + many
    return [*sick[after:end], *well[max(after - len(sick), 0) : max(end - len(sick), 0)]]


def _room(fleet: Fleet, spec: RolloutSpec) -> int:
    return fleet.aim.replicas + spec.surge - fleet.total


def _starting(fleet: Fleet, spec: RolloutSpec, slot: int) -> Iterator[Act]:
    """Start what was prepared for the slot; else make it first."""
    prepared = fleet.slot(slot).prepared
    if prepared is None:
        made = _creation(fleet, spec, slot)
        yield made
        yield replace(made, verb=Verb.START)
    elif prepared.name not in fleet.busy:
        yield _act(Verb.START, prepared)


def _preparations(fleet: Fleet, spec: RolloutSpec, creations: list[int], room: int) -> Iterator[Act]:
    """Make what comes next: what waits for room, and the next wave if this one has begun. It costs no budget."""
    wave = spec.surge + spec.unavailable
    if fleet.prepared >= wave:
        return
    begun = set(creations[:room])
    following = _first(fleet.listed(Kind.SICK), fleet.listed(Kind.WELL), 0, 2 * wave)
    coming = dict.fromkeys([*creations[room : room + wave], *following])
    unmade = (slot for slot in coming if slot not in begun and fleet.slot(slot).prepared is None)
    for slot in islice(unmade, wave - fleet.prepared):
        yield _creation(fleet, spec, slot)


def _creation(fleet: Fleet, spec: RolloutSpec, slot: int) -> Act:
    seen = max((r.generation for r in fleet.of(slot)), default=0)
    generation = max(seen, fleet.generations.get(slot, 0)) + 1
    return Act(
        verb=Verb.CREATE,
        replica=replica_name(spec.service, slot, generation),
        slot=slot,
        generation=generation,
        revision=_revision(fleet, spec, slot),
    )


def _revision(fleet: Fleet, spec: RolloutSpec, slot: int) -> int:
    """An abort fills what is empty with what ran before."""
    if fleet.aim.settle and spec.back_to is not None:
        return spec.back_to
    return fleet.aim.goals.get(slot, fleet.aim.target)


def _retirements(fleet: Fleet, spec: RolloutSpec, slots: list[int]) -> Iterator[Act]:
    least = 0 if spec.strategy is Strategy.RECREATE else fleet.aim.replicas - spec.unavailable
    spare = fleet.available - least
    for r in chain.from_iterable(fleet.slot(s).outgoing for s in slots):
        if r.place is not Place.READY:
            continue
        if r.may_serve:
            if spare <= 0:
                continue
            spare -= 1
        yield _act(Verb.RETIRE, r)


def _act(verb: Verb, r: Replica) -> Act:
    return Act(verb=verb, replica=r.name, slot=r.slot, generation=r.generation, revision=r.revision)
