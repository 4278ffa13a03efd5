"""A fleet on the simulated world, and what is to happen to it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from lab.controller import Controller, Ended, Rollout, World
from lab.model import Asked, Ending, Place, Revision, RolloutSpec, Verb
from lab.ports import Readiness
from lab.sim import Behaviour, MemoryJournal, SimWorld

V1, V2 = 1, 2
REVISIONS = {
    n: Revision(number=n, version=f"v{n}", serves_as=f"v{n}", image_id="sha256:0", spec="{}") for n in (V1, V2)
}


class Crash(BaseException):
    """The controller is killed here."""


@dataclass
class Bench:
    """A fleet of v1, and what is to happen to it."""

    n: int = 3
    surge: int = 1
    unavailable: int = 0
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    wait_for_drain: bool = True
    acts: list[tuple[Verb, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    crash_at: int | None = None
    kills: dict[int, int] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    asks: dict[int, Asked] = field(default_factory=dict)
    linger: bool = False

    def __post_init__(self) -> None:
        self.looks = 0
        self.world = SimWorld(behaviours=self.behaviours, on_act=self.on_act, on_look=self.on_look)
        self.journal = MemoryJournal()

    def on_act(self, verb: Verb, name: str) -> None:
        self.acts.append((verb, name))
        k = len(self.acts)
        if self.crash_at == k:
            self.crash_at = None
            raise Crash
        self.check(verb, name)

    def heard(self) -> tuple[Asked, ...]:
        """What operators ask for, by the number of the look after which they do."""
        due = [look for look in self.asks if look <= self.looks]
        return tuple(self.asks.pop(look) for look in sorted(due))

    def on_look(self) -> None:
        """Replicas die between two passes: what dies between a look and its acts nobody can know of."""
        self.looks += 1
        if self.looks in self.kills:
            ready = [r for r in self.world.replicas_now() if r.available]
            if ready:
                self.world.kill(ready[self.kills[self.looks] % len(ready)].name)

    def check(self, verb: Verb, name: str) -> None:
        """P3, judged from the world before the act; the test has its own arithmetic."""
        replicas = self.world.replicas_now()
        if verb is Verb.START and sum(r.alive for r in replicas) + 1 > self.n + self.surge:
            self.violations.append(f"start of {name} makes more than {self.n + self.surge}")
        it = next((r for r in replicas if r.name == name), None)
        if verb is Verb.CREATE and it is not None:
            self.violations.append(f"{name} is created a second time")
        if verb is Verb.RETIRE and it is not None and it.available:
            left = sum(r.available for r in replicas) - 1
            if left < self.n - self.unavailable:
                self.violations.append(f"retire of {name} leaves {left} available")
        if verb is Verb.STOP and it is not None and it.place not in {Place.REMOVABLE, None} and self.wait_for_drain:
            self.violations.append(f"stop of {name} while {it.place}")

    def roll(self, target: int, back_to: int | None) -> Ended:
        spec = RolloutSpec(
            target=target,
            replicas=self.n,
            surge=self.surge,
            unavailable=self.unavailable,
            ready_timeout=5,
            wait_for_drain=self.wait_for_drain,
            **self.more,
        )
        world = World(
            engine=self.world,
            gateway=self.world,
            watch=self.world,
            clock=self.world,
            journal=self.journal,
            observer=self.world,
            traffic=self.world,
            inbox=self,
        )
        rollout = Rollout(
            run=f"r{target}-{self.ended}",
            service="app",
            spec=spec,
            back_to=back_to,
            revisions=REVISIONS,
            readiness=Readiness(),
            linger=self.linger,
        )
        return asyncio.run(Controller(world, rollout).run())

    @property
    def ended(self) -> int:
        """How many rollouts have: the next one is another."""
        return sum(e.data["happening"] == "reached" for e in self.journal.events(types=["phase-changed"]))

    def up(self) -> "Bench":
        kills, self.kills, crash, self.crash_at = self.kills, {}, self.crash_at, None
        asks, self.asks = self.asks, {}
        assert self.roll(V1, None).ending is Ending.DONE
        self.acts.clear()
        self.looks = 0
        self.kills, self.crash_at, self.asks = kills, crash, asks
        return self

    def versions(self) -> list[str]:
        return [r.version for r in sorted(self.world.replicas_now(), key=lambda r: r.slot) if r.available]
