"""Engine, gateway, observer, traffic, watch and clock over one dictionary of replicas.

Time is virtual and passes only in `look` (what was begun takes as long as it takes, side by side) and in `changed`
(up to the next thing that happens). The same calls give the same world: nothing here asks a clock, a set or chance.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from lab.errors import EngineError, GatewayError
from lab.gates import Felt
from lab.model import Container, Health, Place, Probe, Replica, Revision, Verb, changed
from lab.observation import seen_of
from lab.ports import Readiness, Route, Routing, Seen, Sight
from lab.sim.meter import Meter
from lab.transitions import LEGAL

MS = 1_000_000
GOOD = Probe(ok=True, status=200, body="")
BAD = Probe(ok=False, status=503, body="not yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the replicas of a version behave. Milliseconds; None: never. `errors`: share of its answers.

    `jitter`: by how much of itself a time may differ from replica to replica.
    """

    ready_after: int | None = 300
    dies_after: int | None = None
    dies_after_ready: int | None = None
    unready_after_ready: int | None = None
    drains_in: int = 1500
    errors: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the lab's own acts take. Milliseconds."""

    create: int = 10
    start: int = 10
    stop: int = 10
    route: int = 10
    delete: int = 0
    look: int = 0


@dataclass(slots=True, kw_only=True)
class Sim:
    replica: Replica
    born_ns: int = 0
    proof_ns: int | None = None
    """When its proof would be complete; None: it is not to be."""


def _nothing(_verb: Verb, _name: str) -> None:
    pass


@dataclass(slots=True)
class SimWorld:
    """The whole world.

    `on_act` sees each effect before it happens, `on_done` after it; either may raise, as a crash or a lost answer
    would. `on_look` is called before each look. `blind_ns`: until then, what happens by itself is not seen.
    """

    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    on_act: Callable[[Verb, str], None] = _nothing
    on_done: Callable[[Verb, str], None] = _nothing
    on_look: Callable[[], None] = lambda: None
    pace: Pace = field(default_factory=Pace)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311  a simulation repeats itself
    meter: Meter = field(default_factory=Meter)
    sims: dict[str, Sim] = field(default_factory=dict)
    time_ns: int = 1
    skew_ns: int = 0
    seq: int = 0
    epoch: int = 0
    blind_ns: int = 0
    missing_image: bool = False
    engine_gone: bool = False
    database_down: bool = False
    _busy_ns: int = 0
    _ends: dict[str, int] = field(default_factory=dict)
    _agenda: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _planned: int = 0
    _dirty: dict[str, None] = field(default_factory=dict)

    # what tests look at, and do

    def replicas_now(self) -> list[Replica]:
        return [sim.replica for sim in self.sims.values()]

    def kill(self, name: str) -> None:
        if self.sims[name].replica.alive:
            self._set(name, container=Container.EXITED, exit_code=137)

    def at(self, when_ns: int, what: Callable[[], None]) -> None:
        """Let this happen at that time."""
        self._planned += 1
        heapq.heappush(self._agenda, (when_ns, self._planned, what))

    # clock, watch, traffic, observer

    def now_ns(self) -> int:
        return self.time_ns + self.skew_ns

    def counted(self, revision: int) -> tuple[int, int]:
        self.meter.run_to(self.time_ns)
        return self.meter.counted(revision)

    def felt(self, revision: int) -> Felt:
        self.meter.run_to(self.time_ns)
        return self.meter.felt(revision)

    async def changed(self, *, since: int, within: float) -> None:
        if self.seq > since and self.time_ns >= self.blind_ns:
            return
        until = self.time_ns + max(MS, int(within * 1e9))
        if self._agenda and self._agenda[0][0] <= until:
            until = max(self._agenda[0][0], self.time_ns)
        self._advance(until)

    async def rest(self, seconds: float) -> None:
        self._advance(self.time_ns + int(seconds * 1e9))

    async def look(self, *, whole: bool) -> Sight:
        self.on_look()
        self._pass_what_was_begun()
        self._refuse_without_engine()
        now = self.now_ns()
        if whole:
            self._dirty.clear()
            return Sight(seq=self.seq, now_ns=now, replicas=tuple(s.replica for s in self.sims.values()))
        if self.time_ns < self.blind_ns or not self._dirty:
            return Sight(seq=self.seq, now_ns=now, replicas=(), whole=False)
        names, self._dirty = self._dirty, {}
        there = tuple(self.sims[name].replica for name in names if name in self.sims)
        gone = tuple(name for name in names if name not in self.sims)
        return Sight(seq=self.seq, now_ns=now, replicas=there, gone=gone, whole=False)

    # engine

    async def replicas(self) -> tuple[Seen, ...]:
        self._refuse_without_engine()
        return tuple(seen_of(r) for r in self.replicas_now() if r.container_id)

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        self._begin(Verb.CREATE, name, self.pace.create, waited_for=False)
        self._refuse_without_engine()
        if self.missing_image:
            raise EngineError(id="image-missing", what=f"no image for {revision.version}")
        if name not in self.sims:
            replica = Replica(
                name=name,
                slot=slot,
                generation=generation,
                revision=revision.number,
                version=revision.version,
                container=Container.CREATED,
                container_id=f"id-{name}",
            )
            self.sims[name] = Sim(replica=replica)
            self._touched(None, replica)
        self.on_done(Verb.CREATE, name)
        return f"id-{name}"

    async def start(self, container_id: str) -> None:
        name = self._name(container_id)
        self._begin(Verb.START, name, self.pace.start)
        sim = self.sims[name]
        if sim.replica.container is Container.CREATED:
            sim.born_ns = self._ends[name]
            self._set(name, container=Container.RUNNING, address="10.0.0.1:8080")
            dies = self._behaviour(name).dies_after
            if dies is not None:
                self.at(sim.born_ns + dies * MS, lambda: self._dies(name))
        self.on_done(Verb.START, name)

    async def stop(self, container_id: str) -> Seen | None:
        name = self._name(container_id)
        self._begin(Verb.STOP, name, self.pace.stop)
        if self.sims[name].replica.alive:
            self._set(name, container=Container.EXITED, exit_code=0)
        self.on_done(Verb.STOP, name)
        return seen_of(self.sims[name].replica)

    async def delete(self, container_id: str) -> None:
        name = container_id.removeprefix("id-")
        self._begin(Verb.DELETE, name, self.pace.delete, waited_for=False)
        self._refuse_without_engine()
        sim = self.sims.pop(name, None)
        if sim is not None:
            self._touched(sim.replica, None)
        self.on_done(Verb.DELETE, name)

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        return f"log of {container_id}".encode()

    # gateway

    async def routing(self) -> Routing:
        self.on_look()
        self._pass_what_was_begun()
        routes = tuple(_route(r) for r in self.replicas_now() if r.place)
        return Routing(seq=self.seq, epoch=self.epoch, now_ns=self.now_ns(), routes=routes, lease=None, run=None)

    async def join(self, seen: Seen, readiness: Readiness) -> int:
        epoch = self._change(Verb.JOIN, seen.name, place=Place.JOINING, joined_ns=self.now_ns())
        ready = self._behaviour(seen.name).ready_after
        if ready is not None:
            sim = self.sims[seen.name]
            proof = int((readiness.min_ready + readiness.passes * readiness.fast_interval) * 1e9)
            sim.proof_ns = max(sim.born_ns + self._jittered(seen.name, ready), self._ends[seen.name]) + proof
            self.at(sim.proof_ns, lambda: self._proves(seen.name))
        return self._done(Verb.JOIN, seen.name, epoch)

    async def admit(self, name: str) -> int:
        self._refuse_unproven(Verb.ADMIT, name)
        epoch = self._change(Verb.ADMIT, name, place=Place.READY, in_flight=5)
        behaviour = self._behaviour(name)
        if behaviour.dies_after_ready is not None:
            self.at(self._ends[name] + behaviour.dies_after_ready * MS, lambda: self._dies(name))
        if behaviour.unready_after_ready is not None:
            self.at(self._ends[name] + behaviour.unready_after_ready * MS, lambda: self._sickens(name))
        return self._done(Verb.ADMIT, name, epoch)

    async def retire(self, name: str, *, drain_timeout: float) -> int:
        now, deadline = self.now_ns(), int(drain_timeout * 1e9)
        epoch = self._change(Verb.RETIRE, name, place=Place.DRAINING, retired_ns=now, deadline_ns=now + deadline)
        if self.sims[name].replica.in_flight == 0:
            self._drains(name, now)
        else:
            drained = min(self._jittered(name, self._behaviour(name).drains_in), deadline)
            self.at(self._ends[name] + drained, lambda: self._drains(name, now))
        return self._done(Verb.RETIRE, name, epoch)

    async def restore(self, name: str) -> int:
        self._refuse_unproven(Verb.RESTORE, name)
        epoch = self._change(Verb.RESTORE, name, place=Place.READY, retired_ns=None, deadline_ns=None, in_flight=5)
        return self._done(Verb.RESTORE, name, epoch)

    async def remove(self, name: str, *, lost: bool) -> int:
        return self._done(Verb.UNROUTE, name, self._change(Verb.UNROUTE, name, place=None))

    # what happens by itself

    def lose_database(self) -> None:
        """Nobody is ready without it: the probes find out one after the other, and nothing is proved."""
        self.database_down = True
        self._sicken_all()

    def find_database(self) -> None:
        self.database_down = False
        for name, sim in list(self.sims.items()):
            r = sim.replica
            if r.health is Health.EJECTED and r.alive:
                self.at(self.time_ns + 1000 * MS, lambda name=name: self._recovers(name))  # type: ignore[misc]
            elif r.place is Place.JOINING and sim.proof_ns is not None and sim.proof_ns <= self.time_ns:
                self.at(self.time_ns + 1000 * MS, lambda name=name: self._proves(name))  # type: ignore[misc]

    def _sicken_all(self) -> None:
        for name, sim in self.sims.items():
            if sim.replica.alive and sim.replica.place is not None:
                self.at(self.time_ns + 3000 * MS, lambda name=name: self._sickens(name))  # type: ignore[misc]

    def _proves(self, name: str) -> None:
        sim = self.sims.get(name)
        if sim is None or self.database_down or not sim.replica.alive or sim.replica.place is not Place.JOINING:
            return
        self._set(name, proven=True, probe=GOOD)

    def _sickens(self, name: str) -> None:
        sim = self.sims.get(name)
        if sim is not None and sim.replica.alive and sim.replica.place is not None:
            r = sim.replica
            since = self.now_ns() if r.ejected_ns is None else r.ejected_ns
            falls = r.falls + (r.health is not Health.EJECTED)
            self._set(name, proven=False, health=Health.EJECTED, probe=BAD, ejected_ns=since, falls=falls)

    def _recovers(self, name: str) -> None:
        sim = self.sims.get(name)
        if sim is not None and sim.replica.alive and not self.database_down:
            self._set(name, proven=True, health=Health.UP, probe=GOOD, ejected_ns=None)

    def _dies(self, name: str) -> None:
        if name in self.sims and self.sims[name].replica.alive:
            self._set(name, container=Container.EXITED, exit_code=1)

    def _drains(self, name: str, retired_ns: int) -> None:
        r = self.sims[name].replica if name in self.sims else None
        if r is not None and r.alive and r.place is Place.DRAINING and r.retired_ns == retired_ns:
            late = self.now_ns() >= (r.deadline_ns or 0)
            self._set(name, place=Place.REMOVABLE, in_flight=0, aborted=r.in_flight if late else 0)

    # inside

    def _behaviour(self, name: str) -> Behaviour:
        return self.behaviours.get(self.sims[name].replica.version, _USUAL)

    def _jittered(self, name: str, ms: int) -> int:
        jitter = self._behaviour(name).jitter
        return int(ms * MS * (1 + jitter * (2 * self.random.random() - 1))) if jitter else ms * MS

    def _refuse_unproven(self, verb: Verb, name: str) -> None:
        if name in self.sims and not self.sims[name].replica.proven:
            self.on_act(verb, name)
            raise GatewayError(id="not-proven", what=f"{name} is not proven")

    def _refuse_without_engine(self) -> None:
        if self.engine_gone:
            raise EngineError(id="docker-unreachable", what="the engine does not answer", where="simulated")

    def _begin(self, verb: Verb, name: str, took_ms: int, *, waited_for: bool = True) -> None:
        """`waited_for`: nothing is looked at before it is over. What follows on that replica waits for it anyhow."""
        self.on_act(verb, name)
        ends = max(self._ends.get(name, 0), self.time_ns) + took_ms * MS
        self._ends[name] = ends
        self._busy_ns = max(self._busy_ns, ends if waited_for else 0)

    def _change(self, verb: Verb, name: str, **change: object) -> int:
        self._begin(verb, name, self.pace.route)
        r = self.sims[name].replica if name in self.sims else None
        if r is None or (r.container, r.place) not in LEGAL[verb]:
            raise GatewayError(id="illegal-place", what=f"cannot {verb} {name}")
        self._set(name, **change)
        self.epoch += 1
        return self.epoch

    def _done(self, verb: Verb, name: str, epoch: int) -> int:
        self.on_done(verb, name)
        return epoch

    def _set(self, name: str, **change: object) -> None:
        sim = self.sims[name]
        before = sim.replica
        sim.replica = changed(before, change)
        self._touched(before, sim.replica)

    def _touched(self, before: Replica | None, now: Replica | None) -> None:
        self.meter.change(before, now, self.time_ns, self.behaviours)
        self._dirty[(before or now).name] = None  # type: ignore[union-attr]  # one of them is there
        self.seq += 1

    def _name(self, container_id: str) -> str:
        name = container_id.removeprefix("id-")
        self._refuse_without_engine()
        if name not in self.sims:
            raise EngineError(id="no-container", what=f"no container {container_id}")
        return name

    def _pass_what_was_begun(self) -> None:
        self._advance(max(self._busy_ns, self.time_ns) + self.pace.look * MS)
        self._ends = {name: ends for name, ends in self._ends.items() if ends > self.time_ns}

    def _advance(self, until_ns: int) -> None:
        while self._agenda and self._agenda[0][0] <= until_ns:
            when, _, what = heapq.heappop(self._agenda)
            self.time_ns = max(self.time_ns, when)
            what()
        self.time_ns = until_ns


_USUAL = Behaviour()


def _route(r: Replica) -> Route:
    return Route(
        name=r.name,
        slot=r.slot,
        generation=r.generation,
        version=r.version,
        address=r.address,
        place=r.place or Place.JOINING,
        health=r.health,
        proven=r.proven,
        in_flight=r.in_flight,
        claimed=0,
        aborted=r.aborted,
        joined_ns=r.joined_ns or 0,
        retired_ns=r.retired_ns,
        deadline_ns=r.deadline_ns,
        probe=r.probe,
    )
