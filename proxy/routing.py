"""PURE. The routing table: where each replica stands, who is given the next request, what is in flight.

Every method is one synchronous step. A claim is pick and count together, so no retirement can come between the two.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from proxy.errors import IllegalPlaceError, NotFoundError, NotProvenError
from proxy.readiness import Probe, Readiness, Standing, judge
from proxy.transitions import PLACES, Change, Health, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What the controller decided about a replica: all of it is kept in the state file."""

    replica: str
    slot: int
    generation: int
    version: str
    address: str
    readiness: Readiness
    joined_ns: int
    place: Place = Place.JOINING
    retired_ns: int | None = None
    deadline_ns: int | None = None


@dataclass(slots=True, kw_only=True)
class Entry:
    """A route and what the proxy itself knows of the replica behind it."""

    route: Route
    standing: Standing = field(default_factory=Standing)
    last_probe: Probe | None = None
    in_flight: int = 0
    claimed: int = 0
    aborted: int = 0
    last_claim: int = 0


@dataclass(slots=True, eq=False)
class Claim:
    """The right to send one attempt to a replica; given back exactly once."""

    entry: Entry
    epoch: int
    open: bool = True

    @property
    def replica(self) -> str:
        return self.entry.route.replica


@dataclass(frozen=True, slots=True)
class Checkpoint:
    entries: dict[str, Entry]
    routes: dict[str, Route]
    epoch: int
    seq: int


class RoutingTable:
    def __init__(self, routes: Iterable[Route] = (), *, epoch: int = 0, seq: int = 0) -> None:
        self._entries = {route.replica: Entry(route=route) for route in routes}
        self._claims = 0
        self.epoch = epoch
        self.seq = seq

    @property
    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    def claim(self, exclude: Collection[str] = ()) -> Claim | None:
        """Pick the ready replica with the least in flight, the longest unpicked among equals.

        Ejected ones only when there is no other: a probe that fails everywhere says more about the probe.
        """
        ready = [e for e in self._entries.values() if e.route.place is Place.READY]
        # Decided over all ready replicas: a second attempt must not turn to an ejected one because
        # the healthy one was the first.
        up = [e for e in ready if e.standing.health is Health.UP]
        choice = [e for e in (up or ready) if e.route.replica not in exclude]
        if not choice:
            return None
        entry = min(choice, key=lambda e: (e.in_flight, e.last_claim))
        self._claims += 1
        entry.last_claim = self._claims
        entry.in_flight += 1
        entry.claimed += 1
        return Claim(entry, self.epoch)

    def release(self, claim: Claim, *, aborted: bool = False) -> None:
        if not claim.open:
            raise RuntimeError(f"a claim on {claim.replica} was given back twice")
        claim.open = False
        claim.entry.in_flight -= 1
        claim.entry.aborted += aborted
        if claim.entry.in_flight == 0 and claim.entry.route.place is Place.DRAINING:
            self.seq += 1

    def join(self, route: Route) -> None:
        known = self._entries.get(route.replica)
        if known is not None and replace(known.route, joined_ns=route.joined_ns) == route:
            return
        place = self._next(Change.JOIN, route.replica)
        self._entries[route.replica] = Entry(route=replace(route, place=place))
        self._changed()

    def admit(self, replica: str) -> None:
        place = self._next(Change.ADMIT, replica)
        entry = self._entries[replica]
        if not entry.standing.proven:
            raise NotProvenError(f"{replica} is not proven ready: {_why(entry)}")
        self._put(entry, place)

    def retire(self, replica: str, *, now_ns: int, deadline_ns: int) -> None:
        """Give it no more requests. Again is the same drain: only an earlier deadline changes anything."""
        place = self._next(Change.RETIRE, replica)
        entry = self._entries[replica]
        route = entry.route
        if route.deadline_ns is None:
            entry.route = replace(route, retired_ns=now_ns, deadline_ns=deadline_ns)
            self._put(entry, place)
        elif deadline_ns < route.deadline_ns and place is Place.DRAINING:
            entry.route = replace(route, deadline_ns=deadline_ns)
            self._put(entry, place)

    def restore(self, replica: str) -> None:
        place = self._next(Change.RESTORE, replica)
        entry = self._entries[replica]
        if not (entry.standing.proven and entry.standing.health is Health.UP):
            raise NotProvenError(f"{replica} is not healthy: {_why(entry)}")
        entry.route = replace(entry.route, retired_ns=None, deadline_ns=None)
        self._put(entry, place)

    def remove(self, replica: str, *, lost: bool) -> None:
        change = Change.LOSE if lost else Change.REMOVE
        if self._place(replica) is Place.GONE:
            return
        place = self._next(change, replica)
        entry = self._entries.pop(replica)
        self._put(entry, place)

    def emptied(self, replica: str) -> None:
        """Say that the last connection to a drained replica is closed. No claim depends on it: the epoch stays."""
        place = self._next(Change.EMPTY, replica)
        entry = self._entries[replica]
        if entry.in_flight:
            raise IllegalPlaceError(f"{replica} has {entry.in_flight} requests in flight: it is not removable")
        entry.route = replace(entry.route, place=place)
        self.seq += 1

    def observe(self, replica: str, probe: Probe) -> None:
        entry = self._entries[replica]
        before = _outcome(entry)
        entry.last_probe = probe
        entry.standing = judge(entry.standing, entry.route.readiness, ok=probe.ok, now_ns=probe.t)
        if _outcome(entry) != before:
            self.seq += 1

    def checkpoint(self) -> Checkpoint:
        routes = {name: entry.route for name, entry in self._entries.items()}
        return Checkpoint(dict(self._entries), routes, self.epoch, self.seq)

    def roll_back(self, to: Checkpoint) -> None:
        """Undo a change that could not be written down, before anyone has been told of it."""
        self._entries = dict(to.entries)
        for name, route in to.routes.items():
            self._entries[name].route = route
        self.epoch, self.seq = to.epoch, to.seq

    def _place(self, replica: str) -> Place:
        entry = self._entries.get(replica)
        return Place.GONE if entry is None else entry.route.place

    def _next(self, change: Change, replica: str) -> Place:
        now = self._place(replica)
        place = PLACES.get((change, now))
        if place is not None:
            return place
        if now is Place.GONE:
            raise NotFoundError(f"there is no replica {replica}: it never joined, or was removed")
        raise IllegalPlaceError(f"cannot {change} {replica}: it is {now}")

    def _put(self, entry: Entry, place: Place) -> None:
        entry.route = replace(entry.route, place=place)
        self._changed()

    def _changed(self) -> None:
        self.epoch += 1
        self.seq += 1


def _outcome(entry: Entry) -> tuple[Health, bool, bool | None, int | None]:
    """Return what of the probes somebody may wait for; that one more passed like the one before is no change."""
    probe = entry.last_probe
    ok, status = (None, None) if probe is None else (probe.ok, probe.status)
    return entry.standing.health, entry.standing.proven, ok, status


def _why(entry: Entry) -> str:
    probe, wanted = entry.last_probe, entry.route.readiness
    if probe is None:
        return "no probe of it has ended yet"
    if not probe.ok:
        return f"its last probe failed: {probe.error}"
    return f"{entry.standing.passes} of {wanted.passes} passes, to stand unbroken for {wanted.min_ready_ms} ms"
