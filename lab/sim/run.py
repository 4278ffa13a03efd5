"""One rollout on virtual time, by the planner and the controller that roll the real fleet."""

import asyncio
import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random

from lab.controller import Controller, Ended, Rollout, World
from lab.model import Asked, Container, Ending, Place, Replica, Revision, RolloutSpec
from lab.ports import Event, Readiness
from lab.sim.faults import Fault, behaviours, happen
from lab.sim.journal import MemoryJournal
from lab.sim.meter import Meter
from lab.sim.world import GOOD, Behaviour, Pace, Sim, SimWorld
from lab.transitions import Happening

OLD, NEW = 1, 2
_MANY_OBJECTS = 200_000
PATIENCE = 3600.0
"""Nothing is missed in a simulation: it need not look again before something happens."""
USUAL = Behaviour(ready_after=300, drains_in=2500, jitter=0.1)
DOCKER = Pace(create=20, start=300, stop=250, route=5, delete=30, look=5)
"""Medians of a machine with two cores, and of the drains under the lab's own load, whose slow requests take so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What is to be simulated. `asks`: commands by the second at which an operator gives them."""

    source: str
    target: str
    spec: RolloutSpec
    seed: int = 1
    rate: float = 100.0
    readiness: Readiness = field(default_factory=Readiness)
    usual: Behaviour = USUAL
    pace: Pace = DOCKER
    faults: tuple[Fault, ...] = ()
    asks: Mapping[float, Asked] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """How it went. `exposed`: requests that the new version answered; `failed`: of all, those that were errors.

    `wasted`: replicas of the new version that were made and are gone again; `back`: seconds from turning back to the
    end; `waited`: requests that the proxy had to hold, for nobody served.
    """

    ended: Ended
    seconds: float
    peak: int
    lowest: int
    exposed: int
    failed: int
    wasted: int
    back: float | None
    waited: int
    made: int
    journal: MemoryJournal
    replicas: tuple[Replica, ...]


class _NobodyGoesOnError(Exception):
    """It is paused, and no word is left to be said."""


@dataclass(slots=True)
class _Operator:
    """Inbox and watch: says the words when they are due."""

    world: SimWorld
    asks: list[tuple[int, Asked]]
    paused: bool = False

    def heard(self) -> tuple[Asked, ...]:
        due = [asked for at, asked in self.asks if at <= self.world.time_ns]
        if due:
            self.asks = [(at, asked) for at, asked in self.asks if at > self.world.time_ns]
        return tuple(due)

    def told(self, event: Event) -> None:
        if event.type == "phase-changed":
            self.paused = event.data["happening"] == Happening.PAUSED

    async def changed(self, *, since: int, within: float) -> None:
        if self.paused and not self.asks:
            raise _NobodyGoesOnError
        await self.world.changed(since=since, within=within)

    async def rest(self, seconds: float) -> None:
        await self.world.rest(seconds)


def simulate(it: Simulation) -> Simulated:
    """Roll a fleet of `source` that serves to `target`. The same simulation gives the same journal, byte for byte."""
    world = fleet_of(it)
    happen(world, it.faults)
    begin = world.time_ns
    journal = MemoryJournal()
    asks = sorted((begin + int(at * 1e9), asked) for at, asked in it.asks.items()) if it.asks else []
    for at, _ in asks:
        world.at(at, lambda: None)
    operator = _Operator(world, asks)
    controller = Controller(
        World(
            engine=world,
            gateway=world,
            watch=operator,
            clock=world,
            journal=journal,
            observer=world,
            traffic=world,
            inbox=operator,
            instant=True,
        ),
        Rollout(
            run="simulated",
            service=it.spec.service,
            spec=replace(it.spec, since_ns=world.now_ns()),
            back_to=OLD,
            revisions=revisions(it),
            readiness=it.readiness,
            linger=bool(asks),
            patience=PATIENCE,
        ),
        on_event=operator.told,
    )
    try:
        with _rarely_collected():
            ended = asyncio.run(controller.run())
    except _NobodyGoesOnError:
        ended = Ended(ending=Ending.PAUSED, reason="asked by an operator, and nobody said more")
    world.meter.run_to(world.time_ns)
    return _measured(ended, world, journal, begin)


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """What a simulation makes it keeps: the collector of cycles would look all of it through, again and again."""
    usual = gc.get_threshold()
    gc.set_threshold(_MANY_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def revisions(it: Simulation) -> dict[int, Revision]:
    named = ((OLD, it.source), (NEW, it.target))
    return {n: Revision(number=n, version=v, serves_as=v, image_id="simulated", spec="{}") for n, v in named}


def fleet_of(it: Simulation) -> SimWorld:
    """A world whose fleet runs the source, every slot of it."""
    world = SimWorld(
        behaviours=behaviours(it.usual, (it.source, it.target), it.faults),
        pace=it.pace,
        random=Random(it.seed),  # noqa: S311  a simulation repeats itself
        meter=Meter(rate=it.rate),
    )
    put(world, it.spec, it.source, range(1, it.spec.replicas + 1))
    world.meter.restart(world.time_ns)
    return world


def put(world: SimWorld, spec: RolloutSpec, version: str, slots: Iterable[int]) -> None:
    for slot in slots:
        replica = Replica(
            name=f"{spec.service}-{slot}.1",
            slot=slot,
            generation=1,
            revision=OLD,
            version=version,
            container=Container.RUNNING,
            container_id=f"id-{spec.service}-{slot}.1",
            address="10.0.0.1:8080",
            place=Place.READY,
            proven=True,
            in_flight=5,
            joined_ns=0,
            probe=GOOD,
        )
        world.sims[replica.name] = Sim(replica=replica)
        world.meter.change(None, replica, world.time_ns, world.behaviours)


def _measured(ended: Ended, world: SimWorld, journal: MemoryJournal, begin: int) -> Simulated:
    made, turned = 0, None
    for event in journal.events(types=["act-done", "phase-changed"]):
        if event.type == "act-done":
            made += event.data["verb"] == "start" and event.data["revision"] == NEW
        elif event.data["happening"] == "turned-back":
            turned = event.t_ns
    serving = sum(s.replica.revision == NEW and s.replica.available for s in world.sims.values())
    back = (world.now_ns() - turned) / 1e9 if turned is not None and ended.ending is Ending.ROLLED_BACK else None
    return Simulated(
        ended=ended,
        seconds=(world.time_ns - begin) / 1e9,
        peak=world.meter.peak,
        lowest=world.meter.lowest,
        exposed=world.meter.counted(NEW)[0],
        failed=sum(int(failed) for failed in world.meter.failed.values()),
        wasted=made - serving,
        back=back,
        waited=int(world.meter.waited),
        made=made,
        journal=journal,
        replicas=tuple(s.replica for s in world.sims.values()),
    )
