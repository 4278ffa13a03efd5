"""PURE: every replica there is, and what follows of them, kept current: a look costs what changed, not the fleet."""

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from lab.model import Check, Container, Health, Place, Replica
from lab.planner.slots import NO_SLOT, Aim, Kind, Slot, slot_of

T = TypeVar("T")
_LISTED = (Kind.EMPTY, Kind.SICK, Kind.WELL, Kind.REPLACED, Kind.UNSURE, Kind.BEYOND)


class Fleet:
    """Fed with replicas as they are seen; read by the planner, which changes nothing in it."""

    def __init__(
        self, aim: Aim, replicas: Iterable[Replica] = (), generations: Mapping[int, int] | None = None
    ) -> None:
        self.aim = aim
        self.generations: Mapping[int, int] = {} if generations is None else generations
        self.by_name: dict[str, Replica] = {}
        self.busy: set[str] = set()
        """Those on which an act is under way beside all others: nothing else is done to them meanwhile."""
        self._in_slot: dict[int, list[Replica]] = {}
        for r in replicas:
            self._keep(r)
        self._build()

    # what the planner reads

    def slot(self, number: int) -> Slot:
        return self._slots.get(number, NO_SLOT)

    def listed(self, kind: Kind) -> list[int]:
        """The slots of that kind, rising."""
        return self._listed[kind]

    def of(self, slot: int) -> list[Replica]:
        return self._in_slot.get(slot, [])

    @property
    def whole(self) -> bool:
        """Each slot has its one replica, it serves, and there is nothing beside them."""
        return self.settled == self.aim.replicas == len(self.by_name)

    @property
    def everyone_unready(self) -> bool:
        """All that ran before are in rotation and unready, and nothing new serves: it is not the version's doing."""
        return self.others > 0 and self.others_well == 0 and self.serving == 0

    @property
    def unready(self) -> int:
        """Replicas of the target that were admitted, and then failed their probes."""
        return sum(r.health is Health.EJECTED for r in self.ailing.values() if r.revision == self.aim.target)

    def first_drain(self) -> Replica | None:
        """The draining replica whose deadline comes first."""
        return self.by_name[self._drains[0][1]] if self._drains else None

    def first_joiner(self) -> Replica | None:
        """The one that has been joining for the longest."""
        return self.by_name[self._joins[0][1]] if self._joins else None

    def drains(self) -> list[Replica]:
        return [self.by_name[name] for at, name in sorted(set(self._drains)) if self._is_drain(at, name)]

    # how it is kept current

    def aim_at(self, aim: Aim) -> None:
        if aim == self.aim:
            return
        before, self.aim = self.aim, aim
        if replace(before, goals=aim.goals, spoiled=aim.spoiled) != aim:
            self._build()
            return
        touched = {self.by_name[name].slot for name in before.spoiled ^ aim.spoiled if name in self.by_name}
        touched |= {s for s in {*before.goals, *aim.goals} if before.goals.get(s) != aim.goals.get(s)}
        for slot in touched:
            self._look_at(slot)

    def sync(self, replicas: Iterable[Replica]) -> None:
        """These are all that there are."""
        named = {r.name: r for r in replicas}
        for name in [name for name in self.by_name if name not in named]:
            self.forget(name)
        for r in named.values():
            if self.by_name.get(r.name) != r:
                self.see(r)

    def see(self, r: Replica) -> None:
        before = self.by_name.get(r.name)
        if before is not None:
            self._count(before, -1)
            mates = self._in_slot[r.slot]
            mates[mates.index(before)] = r
            self.by_name[r.name] = r
        else:
            self._keep(r)
        self._count(r, 1)
        self._look_at(r.slot)

    def forget(self, name: str) -> None:
        r = self.by_name.pop(name, None)
        if r is None:
            return
        self._count(r, -1)
        self._in_slot[r.slot].remove(r)
        self._look_at(r.slot)

    def _keep(self, r: Replica) -> None:
        self.by_name[r.name] = r
        mates = self._in_slot.setdefault(r.slot, [])
        mates.append(r)
        if len(mates) > 1:
            mates.sort(key=lambda mate: mate.generation)

    def _build(self) -> None:
        self._slots: dict[int, Slot] = {}
        self._listed: dict[Kind, list[int]] = {kind: [] for kind in _LISTED}
        self.steps: dict[int, Slot] = {}
        self.restorable: dict[int, Replica] = {}
        self.ailing: dict[int, Replica] = {}
        self.unhealthy: dict[int, Replica] = {}
        """Slots whose replica was given up by its own healthcheck before it could join."""
        self._drains: list[tuple[int, str]] = []
        self._joins: list[tuple[int, str]] = []
        self.total = self.available = self.haunting = self.others = self.others_well = self.strangers = 0
        self.prepared = self.moving = self.settled = self.serving = self.admitted = 0
        for r in self.by_name.values():
            self._count(r, 1)
        for number in sorted({*range(1, self.aim.replicas + 1), *self._in_slot}):
            self._look_at(number)

    def _count(self, r: Replica, by: int) -> None:
        if r.container is Container.EXITED:
            self.haunting += by if r.place else 0
            return
        if r.container is Container.CREATED:
            self.prepared += by
            return
        self.total += by
        other = r.revision != self.aim.target
        self.strangers += by if other else 0
        if r.place is Place.READY and r.container is Container.RUNNING:
            well = r.health is Health.UP
            self.available += by if well else 0
            self.others += by if other else 0
            known_bad = r.health is Health.EJECTED or (r.probe is not None and not r.probe.ok)
            self.others_well += by if other and not known_bad else 0

    def _look_at(self, number: int) -> None:
        before = self._slots.get(number)
        now = slot_of(number, self._in_slot.get(number, ()), self.aim)
        self._slots[number] = now
        if before is not None:
            self._tally(before, -1)
        self._tally(now, 1)
        if before is None or before.kind is not now.kind:
            self._list(number, before.kind if before else None, now.kind)
        if now.steps:
            self.steps[number] = now
        elif before is not None and before.steps:
            del self.steps[number]
        if now.restorable is not None or number in self.restorable:
            _put(self.restorable, number, now.restorable)
        sick = now.kept is not None and now.kept.place is Place.READY and not now.kept.available
        if sick or number in self.ailing:
            _put(self.ailing, number, now.kept if sick else None)
        given_up = now.kept is not None and now.kept.place is Place.JOINING and now.kept.check is Check.UNHEALTHY
        if given_up or number in self.unhealthy:
            _put(self.unhealthy, number, now.kept if given_up else None)
        self._mind_deadlines(number, now)

    def _tally(self, slot: Slot, by: int) -> None:
        self.moving += by if slot.moving else 0
        kept = slot.kept
        if kept is None:
            return
        self.settled += by if slot.kind is Kind.SETTLED else 0
        if kept.revision == self.aim.target and kept.place is Place.READY:
            self.admitted += by
            self.serving += by if kept.available else 0

    def _list(self, number: int, before: Kind | None, now: Kind) -> None:
        if before in self._listed:
            numbers = self._listed[before]
            del numbers[bisect_left(numbers, number)]
        if now in self._listed:
            insort(self._listed[now], number)

    # deadlines: heaps whose top is always true; what is below may be outdated

    def _mind_deadlines(self, number: int, slot: Slot) -> None:
        for r in self._in_slot.get(number, ()):
            if r.place is Place.DRAINING and r.container is Container.RUNNING:
                heapq.heappush(self._drains, (r.deadline_ns or 0, r.name))
        kept = slot.kept
        if kept is not None and kept.place is Place.JOINING and not kept.admissible:
            heapq.heappush(self._joins, (kept.joined_ns or 0, kept.name))
        while self._drains and not self._is_drain(*self._drains[0]):
            heapq.heappop(self._drains)
        while self._joins and not self._is_join(*self._joins[0]):
            heapq.heappop(self._joins)

    def _is_drain(self, deadline_ns: int, name: str) -> bool:
        r = self.by_name.get(name)
        if r is None or r.place is not Place.DRAINING or r.container is not Container.RUNNING:
            return False
        return (r.deadline_ns or 0) == deadline_ns

    def _is_join(self, joined_ns: int, name: str) -> bool:
        r = self.by_name.get(name)
        if r is None or r.place is not Place.JOINING or r.admissible or (r.joined_ns or 0) != joined_ns:
            return False
        kept = self._slots[r.slot].kept
        return kept is not None and kept.name == name


def _put(where: dict[int, T], number: int, what: T | None) -> None:
    if what is not None:
        where[number] = what
    else:
        where.pop(number, None)
