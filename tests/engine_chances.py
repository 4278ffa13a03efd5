"""What can befall a simulated world while a rollout runs in it, and an engine and an observer that take their time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lab.model import Health, Revision
from lab.ports import Seen, Sight
from lab.sim import SimWorld

SECOND = 1_000_000_000


def kill(which: int) -> Callable[[SimWorld], None]:
    def happens(world: SimWorld) -> None:
        ready = [r for r in world.replicas_now() if r.available]
        if ready:
            world.kill(ready[which % len(ready)].name)

    return happens


def sicken(which: int) -> Callable[[SimWorld], None]:
    def happens(world: SimWorld) -> None:
        ready = [r for r in world.replicas_now() if r.available]
        if ready:
            name = ready[which % len(ready)].name
            world._set(name, health=Health.EJECTED, proven=False)
            world.at(world.time_ns + 4 * SECOND, lambda: world._recovers(name))

    return happens


def away(what: str, seconds: int) -> Callable[[SimWorld], None]:
    """The engine or the image is not there for so long."""

    def happens(world: SimWorld) -> None:
        setattr(world, what, True)
        world.at(world.time_ns + seconds * SECOND, lambda: setattr(world, what, False))

    return happens


def no_database(seconds: int) -> Callable[[SimWorld], None]:
    def happens(world: SimWorld) -> None:
        world.lose_database()
        world.at(world.time_ns + seconds * SECOND, world.find_database)

    return happens


def jump(seconds: int) -> Callable[[SimWorld], None]:
    def happens(world: SimWorld) -> None:
        world.skew_ns += seconds * SECOND

    return happens


def blind(seconds: int) -> Callable[[SimWorld], None]:
    def happens(world: SimWorld) -> None:
        world.blind_ns = world.time_ns + seconds * SECOND

    return happens


@dataclass(slots=True)
class LingeringEngine:
    """Making and deleting a container takes a while, in which the controller looks and decides."""

    world: SimWorld
    turns: int

    async def replicas(self) -> tuple[Seen, ...]:
        return await self.world.replicas()

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str:
        await self._linger()
        made = await self.world.create(revision, name=name, slot=slot, generation=generation)
        await self._linger()
        return made

    async def start(self, container_id: str) -> None:
        await self.world.start(container_id)

    async def stop(self, container_id: str) -> Seen | None:
        return await self.world.stop(container_id)

    async def delete(self, container_id: str) -> None:
        await self._linger()
        await self.world.delete(container_id)
        await self._linger()

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes:
        return await self.world.logs(container_id, tail=tail)

    async def _linger(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)


@dataclass(slots=True)
class Everything:
    """Looks at all there is, every time, and lets others go on meanwhile: what it tells may be old by then."""

    world: SimWorld

    async def look(self, *, whole: bool) -> Sight:  # noqa: ARG002
        sight = await self.world.look(whole=True)
        await asyncio.sleep(0)
        return sight
