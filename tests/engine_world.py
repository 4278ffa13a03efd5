"""A rollout on the simulated world, everything that can happen to it, and what must hold after every event.

The arithmetic here is the tests' own: nothing of it is taken from the planner.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lab.controller import Controller, Ended, Rollout, World
from lab.model import (
    Asked,
    Command,
    Container,
    Ending,
    OnFail,
    Place,
    Replica,
    Revision,
    RolloutSpec,
    Strategy,
    Verb,
)
from lab.ports import Event, Observer, Readiness
from lab.recording import recorded
from lab.sim import Behaviour, MemoryJournal, SimWorld
from lab.sim.run import put
from lab.transitions import ROLLOUT, Happening, Phase
from tests.engine_chances import (
    SECOND,
    Everything,
    LingeringEngine,
    away,
    blind,
    jump,
    kill,
    no_database,
    sicken,
)

OLD, NEW = 1, 2
MOST_LOOKS = 6_000
REVISIONS = {
    n: Revision(number=n, version=f"v{n}", serves_as=f"v{n}", image_id="sha256:0", spec="{}") for n in (OLD, NEW)
}
BACKWARDS = {Phase.ROLLING_BACK, Phase.HOLDING_BACK, Phase.PAUSED_BACK}
PAUSES = {Phase.PAUSED, Phase.PAUSED_BACK}


class Crash(BaseException):
    """The controller is killed here."""


class Stuck(BaseException):
    """It did not come to an end."""


@dataclass(slots=True)
class CrashingJournal:
    """Tells of each record before it is written and after."""

    journal: MemoryJournal
    point: Callable[[str], None]

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        self.point(f"before record {type}")
        event = self.journal.append(type, run, t_ns, data)
        self.point(f"after record {type}")
        return event

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        return self.journal.events(run=run, types=types)


@dataclass(slots=True)
class Trial:
    """`happens`: look -> what happens to the world then. `asks`: look -> the command that is given then.

    `crashes`: at which points the controller is killed, counted from the last start. `chaos`: replicas die or fall ill
    by themselves, so what is available may be less than anybody could know. `plain`: waves, and nothing goes wrong.
    """

    spec: RolloutSpec
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    happens: dict[int, Callable[[SimWorld], None]] = field(default_factory=dict)
    asks: dict[int, tuple[Command, int | None]] = field(default_factory=dict)
    crashes: list[int] = field(default_factory=list)
    chaos: bool = False
    readiness: Readiness = field(default_factory=lambda: Readiness(min_ready=0.5))
    plain: bool = False
    right: Ending | None = None
    """How it has to end; None: there is more than one way."""
    lingers: int = 0
    """For so many turns of the loop the engine makes or deletes a container, while the controller goes on."""
    run_name: str = "r"
    source: int = OLD
    world: SimWorld = field(init=False)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    violations: list[str] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    looks: int = 0
    prepared: int = 0
    killed: bool = False
    since_start: int = 0
    asked: int = 0
    resumed: int = 0
    dead: bool = False
    """Killed, and not started again: what it had begun side by side ends there too."""
    haunted: bool = False
    """A dead replica was routed at the last look, or became one since."""
    whole: bool = False
    """The controller looks at everything, every time."""
    observer: Observer | None = None
    sights: list[str] | None = None
    """What the controller saw is kept here, as lab/recording.py writes it."""
    instant: bool = False
    begun: dict[int, int] = field(default_factory=dict)
    """Slot -> the look at which its replacement was begun."""

    def __post_init__(self) -> None:
        self.world = SimWorld(behaviours=self.behaviours)
        put(self.world, self.spec, f"v{self.source}", range(1, self.spec.replicas + 1))
        self._hook()

    def _hook(self) -> None:
        self.world.on_act, self.world.on_done, self.world.on_look = self._before, self._after, self._look

    # what the world tells

    def _point(self, what: str) -> None:
        if self.dead:
            raise Crash
        self.points.append(what)
        self.since_start += 1
        if self.crashes and self.since_start == self.crashes[0]:
            self.crashes.pop(0)
            self.dead = self.killed = True
            raise Crash

    def _before(self, verb: Verb, name: str) -> None:
        self._point(f"before {verb}")
        self.check(verb, name)
        it = self.world.sims.get(name)
        self.haunted = self.haunted or bool(verb is Verb.STOP and it and it.replica.place)

    def _after(self, verb: Verb, _name: str) -> None:
        self._point(f"after {verb}")

    def _look(self) -> None:
        self.looks += 1
        if self.looks > MOST_LOOKS:
            raise Stuck
        if self.looks in self.happens:
            self.happens.pop(self.looks)(self.world)
        replicas = self.world.replicas_now()
        self.haunted = any(r.container is Container.EXITED and r.place for r in replicas)
        self._check_prepared(sum(r.container is Container.CREATED for r in replicas))

    def _check_prepared(self, now: int) -> None:
        """Beside chaos: what fails between its creation and its start is no preparation."""
        before, self.prepared = self.prepared, now
        held = any(e.data["happening"] == "held" for e in self.journal.events(types=["phase-changed"]))
        if self.chaos or self.killed or self.asked or held or now <= before:
            return
        if self.phase not in {Phase.ROLLING, Phase.BAKING} and not self.lingers:
            self.violations.append(f"{now} prepared while {self.phase}")
        if now > self.spec.surge + self.spec.unavailable:
            self.violations.append(f"{now} prepared, which is more than one wave")

    def heard(self) -> tuple[Asked, ...]:
        due = sorted(look for look in self.asks if look <= self.looks)
        given = [self.asks.pop(look) for look in due]
        if not given and not self.asks and self.phase in PAUSES:
            self.resumed += 1
            given = [(Command.RESUME if self.resumed < 5 else Command.ABORT, None)]
        return tuple(self._asked(command, number) for command, number in given)

    def _asked(self, command: Command, number: int | None) -> Asked:
        self.asked += 1
        return Asked(number=self.asked, command=command, replicas=number if command is Command.SCALE else None)

    # how it goes

    def roll(self) -> Ended:
        """Run to the end, starting the controller again after every crash."""
        while True:
            self.since_start, self.dead = 0, False
            with suppress(Crash):
                return asyncio.run(self._controller().run())

    def _controller(self) -> Controller:
        world = World(
            engine=LingeringEngine(self.world, self.lingers) if self.lingers else self.world,
            gateway=self.world,
            watch=self.world,
            clock=self.world,
            journal=CrashingJournal(self.journal, self._point),
            observer=self.observer or (Everything(self.world) if self.whole else self.world),
            traffic=self.world,
            inbox=self,
            instant=self.instant,
        )
        back = NEW if self.spec.target == OLD else OLD
        rollout = Rollout(
            run=self.run_name,
            service="app",
            spec=self.spec,
            back_to=back,
            revisions=REVISIONS,
            readiness=self.readiness,
            linger=True,
            patience=5.0,
        )
        return Controller(self._recorded(world, rollout), rollout)

    def _recorded(self, world: World, rollout: Rollout) -> World:
        sights = self.sights
        if sights is None:
            return world
        newest = max((event.seq for event in self.journal.events()), default=0)

        def write(line: Mapping[str, Any]) -> None:
            if not self.dead:  # what went on beside the task that was killed would look and listen once more
                sights.append(json.dumps(line))

        return recorded(world, rollout, write, after=newest)

    # what must hold

    @property
    def phase(self) -> Phase | Ending:
        phase: Phase | Ending = Phase.ROLLING
        for event in self.journal.events(run=self.run_name, types=["phase-changed"]):
            assert not isinstance(phase, Ending), f"{phase} is not absorbing"
            assert event.data["phase"] == phase, f"{event.data['phase']} is not where it is: {phase}"
            before, phase = phase, ROLLOUT[phase, Happening(event.data["happening"])]
            assert before not in BACKWARDS or phase is not Phase.ROLLING, "a rollback is rolled back"
        return phase

    @property
    def size(self) -> int:
        scaled = self.journal.events(run=self.run_name, types=["scaled"])
        return scaled[-1].data["replicas"] if scaled else self.spec.replicas

    def check(self, verb: Verb, name: str) -> None:
        replicas = self.world.replicas_now()
        it = next((r for r in replicas if r.name == name), None)
        slot = int(name.removeprefix("app-").partition(".")[0])
        self.violations += [f"{verb} {name}: {broken}" for broken in self._broken(verb, slot, it, replicas)]

    def _broken(self, verb: Verb, slot: int, it: Replica | None, replicas: list[Replica]) -> Iterator[str]:
        begun = self.lingers and verb is Verb.CREATE  # before the pause, and over only now
        if self.phase in PAUSES and verb in {Verb.CREATE, Verb.START, Verb.RETIRE, Verb.ADMIT} and not begun:
            yield f"while {self.phase}"
        if verb in {Verb.START, Verb.RETIRE}:
            yield from self._broken_by_many(slot, replicas)
        if verb is Verb.CREATE:
            yield from () if it is None else ("is made a second time",)
        elif verb is Verb.START:
            yield from self._broken_by_start(replicas)
        elif it is not None and verb is Verb.RETIRE:
            yield from self._broken_by_retirement(it, replicas)
        elif it is not None and verb in {Verb.ADMIT, Verb.RESTORE} and not it.proven:
            yield "is not proven"
        elif it is not None and verb is Verb.STOP and it.place not in {Place.REMOVABLE, None}:
            late = self.world.now_ns() > (it.deadline_ns or 0) + 5 * SECOND
            yield from () if late else (f"while {it.place}",)

    def _broken_by_start(self, replicas: list[Replica]) -> Iterator[str]:
        most = self.size + self.spec.surge
        if self.haunted and not self.chaos:
            yield "while a dead one is routed, whose address it may get"
        if sum(r.alive for r in replicas) + 1 > max(most, self._most):
            yield f"makes more than {most} running"

    def _broken_by_retirement(self, it: Replica, replicas: list[Replica]) -> Iterator[str]:
        spec = self.spec
        left = sum(r.available for r in replicas) - 1
        if not it.available or self.chaos:
            return
        if left < self.size - spec.unavailable and spec.strategy is not Strategy.RECREATE:
            yield f"leaves {left} to serve"

    def _broken_by_many(self, slot: int, replicas: list[Replica]) -> Iterator[str]:
        """No second wave is begun beside the first."""
        running = [r for r in replicas if r.alive]
        slots = [r.slot for r in running]
        busy = {r.slot for r in running if not r.available} | {s for s in slots if slots.count(s) > 1}
        begins = slot in slots and slot not in busy
        if begins:
            self.begun[slot] = self.looks
        if begins and self.plain:
            beside = [s for s in busy if self.begun.get(s, self.looks) != self.looks]
            yield from (f"begins beside slot {s}" for s in beside)

    @property
    def _most(self) -> int:
        """A fleet that was made smaller may still be as large as it was."""
        sizes = [self.spec.replicas, *(e.data["replicas"] for e in self.journal.events(types=["scaled"]))]
        return max(sizes) + self.spec.surge if len(sizes) > 1 else 0

    def versions(self) -> list[str]:
        return [r.version for r in sorted(self.world.replicas_now(), key=lambda r: r.slot) if r.available]

    def check_end(self, ended: Ended) -> None:
        """The fleet is what the ending says, and every ending but the good ones says why."""
        there = self.world.replicas_now()
        if ended.ending in {Ending.DONE, Ending.ROLLED_BACK}:
            right = self.journal.events(run=self.run_name, types=["phase-changed"])[-1].data["target"]
            # in chaos one may die at the very end
            serve = [r.revision for r in there if self.chaos or r.available]
            if serve != [right] * self.size or len(there) != self.size:
                self.violations.append(f"{ended.ending}, and the fleet is {self.versions()} of {self.size}")
        elif not ended.reason:
            self.violations.append(f"{ended.ending} without a reason")
        if self.right not in {None, ended.ending}:
            self.violations.append(f"{ended.ending} instead of {self.right}: {ended.reason}")
        by_hand = ended.ending is Ending.ABORTED and "asked" in ended.reason and not self.chaos
        if by_hand and len({r.slot for r in there}) != len(there):
            self.violations.append("aborted, and slots have two replicas")
        gates = self.spec.gates
        if ended.ending is Ending.DONE and gates and self.world.counted(self.spec.target)[0] < gates[0].minimum:
            self.violations.append("done, with too little data for its gate")
        last = [e.t_ns for e in self.journal.events(types=["act-done"]) if e.data["verb"] == "admit"]
        jumped = self.journal.events(types=["looked-away"])
        jumped = jumped or self.world.skew_ns
        if (
            ended.ending is Ending.DONE
            and last
            and not jumped
            and self.world.now_ns() - last[-1] < self.spec.bake * SECOND
        ):
            self.violations.append("done before its bake was over")


NEVER, DIES = Behaviour(ready_after=None), Behaviour(ready_after=None, dies_after=100)
FALLS_ILL, DIES_LATE = Behaviour(unready_after_ready=800), Behaviour(dies_after_ready=700)
BAD = (NEVER, DIES, FALLS_ILL, DIES_LATE)


def spec_of(n: int, surge: int, unavailable: int, **more: Any) -> RolloutSpec:
    fast = {"ready_timeout": 5.0, "progress_timeout": 60.0, "gate_patience": 5.0}
    return RolloutSpec(target=NEW, replicas=n, surge=surge, unavailable=unavailable, **{**fast, **more})


def any_trial(rng: Random) -> Trial:
    """Any fleet, any budgets, any faults and any commands in any order."""
    n = rng.randint(1, 6)
    strategy = rng.choice([Strategy.WAVES, Strategy.WAVES, Strategy.ROLLING, Strategy.RECREATE])
    surge, unavailable = rng.choice([(1, 0), (0, 1), (2, 0), (0, n), (1, 1), (3, 2)])
    if strategy is Strategy.RECREATE:
        surge, unavailable = 0, n
    spec = spec_of(
        n,
        surge,
        min(unavailable, n),
        strategy=strategy,
        on_fail=rng.choice([OnFail.ROLLBACK, OnFail.ROLLBACK, OnFail.PAUSE, OnFail.ABORT]),
        retries=rng.choice([0, 0, 1]),
        max_failure_ratio=rng.choice([0.0, 0.0, 0.34]),
        hold_timeout=rng.choice([0.0, 30.0]),
        wave_bake=rng.choice([0.0, 0.0, 2.0]),
        bake=rng.choice([0.0, 0.0, 3.0]),
    )
    behaviours = {"v2": rng.choice([*BAD, *[Behaviour()] * 5])}
    faults = [kill(rng.randint(0, 5)), sicken(rng.randint(0, 5)), no_database(8), away("engine_gone", 5)]
    faults += [away("missing_image", 5), jump(rng.choice([-50, 90])), blind(2)]
    chosen = rng.sample(faults, rng.choice([0, 0, 1, 2, 3]))
    lingers = rng.choice([0, 0, 1, 3, 10])
    commands: list[tuple[Command, int | None]] = [(command, rng.randint(1, 8)) for command in Command]
    given = [rng.choice(commands) for _ in range(rng.choice([0, 0, 1, 2, 4]))]
    return Trial(
        spec=spec,
        behaviours=behaviours,
        happens={rng.randint(1, 60): fault for fault in chosen},
        asks={rng.randint(1, 60): command for command in given},
        crashes=[rng.randint(1, 40) for _ in range(rng.choice([0, 0, 1, 2]))],
        chaos=bool(chosen) or behaviours["v2"] in {FALLS_ILL, DIES_LATE},
        lingers=lingers,
        whole=rng.random() < 0.5,
    )


def put_through(trial: Trial) -> list[str]:
    """Which promises it broke."""
    try:
        ended = trial.roll()
    except Stuck:
        return [*trial.violations, "it did not end"]
    except AssertionError as error:
        return [*trial.violations, str(error)]
    except RuntimeError as error:
        return [*trial.violations, f"an act that the table does not allow: {error}"]
    trial.check_end(ended)
    return trial.violations
