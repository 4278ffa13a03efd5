"""PURE. The routing table: where each replica stands, who is given the next request, what is in flight.

Every method is one synchronous step. A claim is pick and count together, so no retirement can come between the two.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from proxy.balance import Look, eligible, least_of_two, share
from proxy.errors import IllegalPlaceError, NotFoundError, NotProvenError
from proxy.readiness import Probe, Readiness, Standing, errored, judge
from proxy.transitions import PLACES, Change, Health, Place


class Kind(StrEnum):
    """What is in flight: each has a drain deadline of its own."""

    SHORT = "short"
    STREAM = "stream"
    WEBSOCKET = "websocket"


# Looking up a member of an enum costs more than most of what is decided by it.
_SHORT = Kind.SHORT
_DRAINING = Place.DRAINING


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """When a drain ends what is left of each kind, on the proxy's clock."""

    short: int
    stream: int
    websocket: int

    def of(self, kind: Kind) -> int:
        return {Kind.SHORT: self.short, Kind.STREAM: self.stream, Kind.WEBSOCKET: self.websocket}[kind]

    def earlier(self, other: "Deadlines") -> "Deadlines":
        return Deadlines(
            short=min(self.short, other.short),
            stream=min(self.stream, other.stream),
            websocket=min(self.websocket, other.websocket),
        )


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
    slow_start_ms: int = 0
    place: Place = Place.JOINING
    admitted_ns: int = 0
    retired_ns: int | None = None
    deadlines: Deadlines | None = None


@dataclass(slots=True, kw_only=True)
class Entry:
    """A route and what the proxy itself knows of the replica behind it."""

    route: Route
    standing: Standing = field(default_factory=Standing)
    last_probe: Probe | None = None
    in_flight: int = 0
    streams: int = 0
    websockets: int = 0
    claimed: int = 0
    aborted: int = 0
    cut: int = 0
    requests: int = 0
    errors: int = 0
    claims: "set[Claim]" = field(default_factory=set)


class Claim:
    """The right to send one attempt to a replica; given back exactly once. `cut` ends what was made of it.

    A plain object: each is made very often.
    """

    __slots__ = ("cut", "entry", "epoch", "kind", "open", "replica")

    def __init__(self, entry: Entry, replica: str, epoch: int) -> None:
        self.entry = entry
        self.replica = replica
        self.epoch = epoch
        self.kind = _SHORT
        self.open = True
        self.cut: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    entries: dict[str, Entry]
    routes: dict[str, Route]
    epoch: int
    seq: int


class RoutingTable:
    """`eject_errors` connection errors in a row take a replica out for `eject_ns`, and longer each time."""

    def __init__(
        self,
        routes: Iterable[Route] = (),
        *,
        epoch: int = 0,
        seq: int = 0,
        random: Callable[[], float],
        must_serve: bool = False,
        eject_errors: int = 3,
        eject_ns: int = 2_000_000_000,
    ) -> None:
        self._entries = {route.replica: Entry(route=route) for route in routes}
        self._random = random
        self._must_serve = must_serve
        self._eject_errors = eject_errors
        self._eject_ns = eject_ns
        self._candidates: list[Entry] = []
        self.slow_start = False
        self.in_transition = False
        self.epoch = epoch
        self.seq = seq
        self._refresh()

    @property
    def entries(self) -> Mapping[str, Entry]:
        return self._entries

    @property
    def candidates(self) -> int:
        """How many replicas may be asked."""
        return len(self._candidates)

    @property
    def outstanding(self) -> int:
        """How much is in flight at those that may be asked."""
        return sum(entry.in_flight for entry in self._candidates)

    def claim(self, exclude: Collection[str] = (), now_ns: int = 0) -> Claim | None:
        """Pick and count in one step. `now_ns` counts only while `slow_start`."""
        candidates = self._candidates
        if exclude:
            candidates = [e for e in candidates if e.route.replica not in exclude]
        if not candidates:
            return None
        if self.slow_start:
            candidates = self._grown(candidates, now_ns)
        entry = least_of_two(candidates, self._random)
        entry.in_flight += 1
        entry.claimed += 1
        claim = Claim(entry, entry.route.replica, self.epoch)
        entry.claims.add(claim)
        return claim

    def becomes(self, claim: Claim, kind: Kind) -> None:
        """Say that what is in flight turned out to be a stream or a WebSocket."""
        claim.kind = kind
        claim.entry.streams += kind is Kind.STREAM
        claim.entry.websockets += kind is Kind.WEBSOCKET

    def release(self, claim: Claim, aborted: bool = False, cut: bool = False) -> None:
        if not claim.open:
            raise RuntimeError(f"a claim on {claim.replica} was given back twice")
        claim.open = False
        entry = claim.entry
        entry.claims.discard(claim)
        entry.in_flight -= 1
        if claim.kind is not _SHORT:
            entry.streams -= claim.kind is Kind.STREAM
            entry.websockets -= claim.kind is Kind.WEBSOCKET
        if aborted or cut:
            entry.aborted += aborted
            entry.cut += cut
        if entry.route.place is _DRAINING:
            self.seq += 1

    def join(self, route: Route) -> None:
        known = self._entries.get(route.replica)
        if known is not None and replace(known.route, joined_ns=route.joined_ns) == route:
            return
        place = self._next(Change.JOIN, route.replica)
        self._entries[route.replica] = Entry(route=replace(route, place=place))
        self._changed()

    def admit(self, replica: str, *, now_ns: int = 0) -> None:
        place = self._next(Change.ADMIT, replica)
        entry = self._entries[replica]
        if not entry.standing.proven:
            raise NotProvenError(f"{replica} is not proven ready: {_why(entry)}")
        entry.route = replace(entry.route, admitted_ns=now_ns)
        self._put(entry, place)

    def retire(self, replica: str, *, now_ns: int, deadlines: Deadlines) -> None:
        """Give it no more requests. Again is the same drain: only an earlier deadline changes anything."""
        place = self._next(Change.RETIRE, replica)
        entry = self._entries[replica]
        route = entry.route
        if route.deadlines is None:
            entry.route = replace(route, retired_ns=now_ns, deadlines=deadlines)
            self._put(entry, place)
            return
        earlier = route.deadlines.earlier(deadlines)
        if earlier != route.deadlines and place is Place.DRAINING:
            entry.route = replace(route, deadlines=earlier)
            self._put(entry, place)

    def restore(self, replica: str) -> None:
        place = self._next(Change.RESTORE, replica)
        entry = self._entries[replica]
        if not (entry.standing.proven and entry.standing.health is Health.UP):
            raise NotProvenError(f"{replica} is not healthy: {_why(entry)}")
        entry.route = replace(entry.route, retired_ns=None, deadlines=None)
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
            self._refresh()

    def errored(self, entry: Entry, *, now_ns: int) -> None:
        """Count an error of a connection to it: of all that a probe may miss, the surest sign."""
        before = entry.standing.health
        entry.standing = errored(entry.standing, limit=self._eject_errors, out_ns=self._eject_ns, now_ns=now_ns)
        if entry.standing.health is not before:
            self.seq += 1
            self._refresh()

    def answered(self, entry: Entry) -> None:
        if entry.standing.errors and entry.standing.ejected_by is None:
            entry.standing = replace(entry.standing, errors=0)

    def checkpoint(self) -> Checkpoint:
        routes = {name: entry.route for name, entry in self._entries.items()}
        return Checkpoint(dict(self._entries), routes, self.epoch, self.seq)

    def roll_back(self, to: Checkpoint) -> None:
        """Undo a change that could not be written down, before anyone has been told of it."""
        self._entries = dict(to.entries)
        for name, route in to.routes.items():
            self._entries[name].route = route
        self.epoch, self.seq = to.epoch, to.seq
        self._refresh()

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
        self._refresh()

    def _refresh(self) -> None:
        """Work out once per change what each claim needs to know."""
        ready = [e for e in self._entries.values() if e.route.place is Place.READY]
        looks = [Look(e.standing.health, _is_unreachable(e)) for e in ready]
        self._candidates = [ready[number] for number in eligible(looks, must_serve=self._must_serve)]
        self.slow_start = any(e.route.slow_start_ms for e in ready)
        self.in_transition = len(ready) != len(self._entries) or any(look.health is not Health.UP for look in looks)

    def _grown(self, candidates: list[Entry], now_ns: int) -> list[Entry]:
        """Leave out those in slow start, each as often as its share is below a whole one."""
        standing = [e for e in candidates if self._random() < share(e.route.admitted_ns, e.route.slow_start_ms, now_ns)]
        return standing or candidates


def _is_unreachable(entry: Entry) -> bool:
    return entry.standing.ejected_by == "errors" and not entry.standing.passes


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
