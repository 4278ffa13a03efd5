"""Engine, gateway, watch and clock over one dictionary of replicas. Time passes only in `changed` and in acts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lab.errors import EngineError, GatewayError
from lab.model import Container, Health, Place, Probe, Replica, Revision, Verb
from lab.observation import seen_of
from lab.ports import Readiness, Route, Routing, Seen
from lab.transitions import LEGAL

MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the replicas of a version behave. Milliseconds."""

    ready_after: int | None = 300
    """None: never."""
    dies_after: int | None = None
    drains_in: int = 1500


@dataclass(slots=True, kw_only=True)
class _Sim:
    replica: Replica
    born_ns: int = 0


@dataclass(slots=True)
class SimWorld:
    """The whole world.

    `on_act` sees each effect before it happens and may raise, as a crash would. `on_look` is called before the routing
    is looked at.
    """

    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)
    on_act: Callable[[Verb, str], None] = lambda _verb, _name: None
    on_look: Callable[[], None] = lambda: None
    sims: dict[str, _Sim] = field(default_factory=dict)
    time_ns: int = 1
    seq: int = 0
    epoch: int = 0
    missing_image: bool = False

    # what tests look at

    def replicas_now(self) -> list[Replica]:
        return [sim.replica for sim in self.sims.values()]

    def kill(self, name: str) -> None:
        self._set(name, container=Container.EXITED, exit_code=137)

    # clock and watch

    def now_ns(self) -> int:
        return self.time_ns

    async def changed(self, *, since: int, within: float) -> None:
        self._pass_time(max(1, min(int(within * 1e9), 50 * MS)))

    # engine

    async def replicas(self) -> tuple[Seen, ...]:
        return tuple(seen_of(r) for r in self.replicas_now() if r.container_id)

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        self._act(Verb.CREATE, name)
        if self.missing_image:
            raise EngineError(id="image-missing", what=f"no image for {revision.version}")
        if name not in self.sims:
            self.sims[name] = _Sim(
                replica=Replica(
                    name=name,
                    slot=slot,
                    generation=generation,
                    revision=revision.number,
                    version=revision.version,
                    container=Container.CREATED,
                    container_id=f"id-{name}",
                )
            )
        return f"id-{name}"

    async def start(self, container_id: str) -> None:
        name = self._name(container_id)
        self._act(Verb.START, name)
        self.sims[name].born_ns = self.time_ns
        self._set(name, container=Container.RUNNING, address="10.0.0.1:8080")

    async def stop(self, container_id: str) -> Seen | None:
        name = self._name(container_id)
        self._act(Verb.STOP, name)
        if self.sims[name].replica.alive:
            self._set(name, container=Container.EXITED, exit_code=0)
        return seen_of(self.sims[name].replica)

    async def delete(self, container_id: str) -> None:
        name = self._name(container_id)
        self._act(Verb.DELETE, name)
        self.sims.pop(name, None)
        self.seq += 1

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        return f"log of {container_id}".encode()

    # gateway

    async def routing(self) -> Routing:
        self.on_look()
        routes = tuple(_route(r) for r in self.replicas_now() if r.place)
        return Routing(seq=self.seq, epoch=self.epoch, now_ns=self.time_ns, routes=routes, lease=None, run=None)

    async def join(self, seen: Seen, readiness: Readiness) -> int:
        return self._change(Verb.JOIN, seen.name, place=Place.JOINING, joined_ns=self.time_ns)

    async def admit(self, name: str) -> int:
        if name in self.sims and not self.sims[name].replica.proven:
            raise GatewayError(id="not-proven", what=f"{name} is not proven")
        return self._change(Verb.ADMIT, name, place=Place.READY, in_flight=5)

    async def retire(self, name: str, *, drain_timeout: float) -> int:
        return self._change(
            Verb.RETIRE,
            name,
            place=Place.DRAINING,
            retired_ns=self.time_ns,
            deadline_ns=self.time_ns + int(drain_timeout * 1e9),
        )

    async def restore(self, name: str) -> int:
        return self._change(Verb.RESTORE, name, place=Place.READY, retired_ns=None, deadline_ns=None, in_flight=5)

    async def remove(self, name: str, *, lost: bool) -> int:
        return self._change(Verb.UNROUTE, name, place=None)

    # inside

    def _act(self, verb: Verb, name: str) -> None:
        self.on_act(verb, name)
        self._pass_time(10 * MS)

    def _change(self, verb: Verb, name: str, **change: object) -> int:
        self._act(verb, name)
        r = self.sims[name].replica
        if (r.container, r.place) not in LEGAL[verb]:
            raise GatewayError(id="illegal-place", what=f"cannot {verb} {name}: it is {r.container}, {r.place}")
        self._set(name, **change)
        self.epoch += 1
        return self.epoch

    def _set(self, name: str, **change: object) -> None:
        self.sims[name].replica = replace(self.sims[name].replica, **change)  # type: ignore[arg-type]
        self.seq += 1

    def _name(self, container_id: str) -> str:
        name = container_id.removeprefix("id-")
        if name not in self.sims:
            raise EngineError(id="no-container", what=f"no container {container_id}")
        return name

    def _pass_time(self, ns: int) -> None:
        self.time_ns += ns
        for name, sim in list(self.sims.items()):
            self._age(name, sim, self.behaviours.get(sim.replica.version, Behaviour()))

    def _age(self, name: str, sim: _Sim, behaviour: Behaviour) -> None:
        r, age = sim.replica, self.time_ns - sim.born_ns
        if not r.alive:
            return
        if behaviour.dies_after is not None and age > behaviour.dies_after * MS:
            self._set(name, container=Container.EXITED, exit_code=1)
        elif r.place is Place.JOINING and not r.proven:
            proven = behaviour.ready_after is not None and age > behaviour.ready_after * MS
            probe = Probe(ok=proven, status=200 if proven else 503, body="")
            if proven or r.probe != probe:
                self._set(name, proven=proven, probe=probe)
        elif r.place is Place.DRAINING:
            drained = r.in_flight == 0 or self.time_ns - (r.retired_ns or 0) > behaviour.drains_in * MS
            if drained:
                self._set(name, place=Place.REMOVABLE, in_flight=0)


def _route(r: Replica) -> Route:
    return Route(
        name=r.name,
        slot=r.slot,
        generation=r.generation,
        version=r.version,
        address=r.address,
        place=r.place or Place.JOINING,
        health=Health.UP,
        proven=r.proven,
        in_flight=r.in_flight,
        claimed=0,
        aborted=0,
        joined_ns=r.joined_ns or 0,
        retired_ns=r.retired_ns,
        deadline_ns=r.deadline_ns,
        probe=r.probe,
    )
