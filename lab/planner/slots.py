"""PURE: what a slot's replicas add up to, for one aim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import NamedTuple

from lab.model import Container, Health, Place, Replica, Verb

_RETIRING = (Place.DRAINING, Place.REMOVABLE)


class Kind(IntEnum):
    """What a slot needs, as far as budgets are concerned."""

    SETTLED = auto()
    """One replica, the right one, and it serves."""
    EMPTY = auto()
    """Nothing is there, or on its way in."""
    SICK = auto()
    """Only what has to go, and it does not serve."""
    WELL = auto()
    """Only what has to go, and it serves."""
    REPLACED = auto()
    """The right one serves; another has to go."""
    UNSURE = auto()
    """The right one does not serve yet; another has to go."""
    BEYOND = auto()
    """Above the fleet's size, and it serves."""
    MOVING = auto()
    """On its way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the fleet is to become. `goals`: slots that are to have another revision than the target.

    `settle`: any revision is right; each slot keeps the best that it has.
    """

    target: int
    replicas: int
    settle: bool = False
    wait_for_drain: bool = True
    goals: Mapping[int, int] = field(default_factory=dict)
    spoiled: frozenset[str] = frozenset()


class Slot(NamedTuple):
    """`steps`: what each replica needs next on its own way in or out; they cost no budget.

    `prepared`: made for this slot and not started. For all but its own start it is as if it were not there.
    """

    kind: Kind
    moving: bool
    kept: Replica | None
    outgoing: tuple[Replica, ...]
    steps: tuple[tuple[Verb, Replica], ...]
    restorable: Replica | None
    prepared: Replica | None = None


NOTHING = Slot(Kind.EMPTY, moving=True, kept=None, outgoing=(), steps=(), restorable=None)
NO_SLOT = Slot(Kind.SETTLED, moving=False, kept=None, outgoing=(), steps=(), restorable=None)


def slot_of(number: int, replicas: Sequence[Replica], aim: Aim) -> Slot:
    """`replicas` by rising generation."""
    within = number <= aim.replicas
    if not replicas:
        return NOTHING if within else NO_SLOT
    goal = aim.goals.get(number, aim.target)
    kept = _kept(replicas, goal, aim) if within else None
    prepared = _prepared(replicas, goal, aim) if within and kept is None else None
    outgoing: list[Replica] = []
    leaving: list[Replica] = []
    for r in replicas:
        if r.container is Container.RUNNING and r.place is not None and r is not kept:
            (leaving if r.place in _RETIRING else outgoing).append(r)
    steps = tuple(
        [
            (verb, r)
            for r in replicas
            if (verb := _next_step(r, wanted=r is kept or r is prepared, waits=aim.wait_for_drain)) is not None
        ]
    )
    moving = bool(leaving) or (kept is None and not outgoing)
    moving = moving or (kept is not None and (bool(outgoing) or not kept.available))
    return Slot(
        kind=_kind(
            replicas=replicas,
            kept=kept,
            outgoing=outgoing,
            leaving=leaving,
            aim=aim if within else None,
            goal=goal,
        ),
        moving=moving and within,
        kept=kept,
        outgoing=tuple(outgoing),
        steps=steps,
        restorable=_restorable(kept, leaving, aim, goal) if within and leaving else None,
        prepared=prepared,
    )


def _kept(replicas: Sequence[Replica], goal: int, aim: Aim) -> Replica | None:
    """The replica that the slot keeps: the newest of its goal that is not on its way out."""
    best = None
    for r in replicas:
        if r.container is not Container.RUNNING or r.place in _RETIRING or r.name in aim.spoiled:
            continue
        if aim.settle:
            if best is None or (r.available, r.generation) > (best.available, best.generation):
                best = r
        elif r.revision == goal:
            best = r
    return best


def _prepared(replicas: Sequence[Replica], goal: int, aim: Aim) -> Replica | None:
    """The newest that was made for the slot. Who only settles starts nothing that was made for another aim."""
    made = [r for r in replicas if r.container is Container.CREATED and r.revision == goal]
    return made[-1] if made and not aim.settle else None


def _next_step(r: Replica, *, wanted: bool, waits: bool) -> Verb | None:
    if r.container is Container.EXITED:
        return Verb.UNROUTE if r.place else Verb.DELETE
    if r.container is Container.CREATED:
        return None if wanted else Verb.DELETE
    match r.place:
        case None:
            return Verb.JOIN if wanted else Verb.STOP
        case Place.REMOVABLE:
            return Verb.STOP
        case Place.DRAINING:
            return None if waits else Verb.STOP
        case Place.JOINING if wanted and r.admissible:
            return Verb.ADMIT
        case Place.JOINING if not wanted:
            return Verb.RETIRE  # never ready: it costs no availability
        case _:
            return None


def _kind(
    *,
    replicas: Sequence[Replica],
    kept: Replica | None,
    outgoing: list[Replica],
    leaving: list[Replica],
    aim: Aim | None,
    goal: int,
) -> Kind:
    if aim is None:
        return Kind.BEYOND if any(r.place is Place.READY for r in outgoing) else Kind.MOVING
    if kept is None and not outgoing:
        # one of the goal that still drains may yet be restored; another beside it would be one too many
        return Kind.MOVING if any(aim.settle or r.revision == goal for r in leaving) else Kind.EMPTY
    if kept is None:
        if leaving:
            return Kind.MOVING
        return Kind.WELL if any(r.may_serve for r in outgoing) else Kind.SICK
    if outgoing:
        return Kind.REPLACED if kept.available else Kind.UNSURE
    return Kind.SETTLED if kept.available and len(replicas) == 1 else Kind.MOVING


def _restorable(kept: Replica | None, leaving: list[Replica], aim: Aim, goal: int) -> Replica | None:
    """A surviving replica that drains and may go back: it is the cheapest capacity there is."""
    if not aim.wait_for_drain or (kept is not None and not (aim.settle and not kept.available)):
        return None
    fit = [
        r
        for r in leaving
        if r.place is Place.DRAINING and r.proven and r.health is Health.UP
        if (aim.settle or r.revision == goal) and r.name not in aim.spoiled
    ]
    return max(fit, key=lambda r: r.generation) if fit else None
