"""One run: baseline, schema steps, rollout, tail; then its evidence, and the verdict.

Each of them may have been done by a command that was killed: whoever goes on begins where the journal ends.
"""

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from lab import images, migrate
from lab.assembly import Lab
from lab.clock import OffsetClock, measure_clock
from lab.controller import HEARTBEAT_SECONDS, Ended
from lab.errors import Exit, GatewayError, JournalError, LabError
from lab.gates import Measure
from lab.gateway import ProxyGateway
from lab.model import Cause, Ending, LoadFrom, Revision, RolloutSpec
from lab.operations.account import Account, account_to_json
from lab.operations.evidence import RunRecord, conclude, keep_living_logs, keep_log
from lab.operations.interrupts import Interrupts
from lab.operations.live_mixes import tell_mixes
from lab.operations.request import RollRequest
from lab.operations.rollouts import Attempt, Listener, run_rollout
from lab.operations.status import GOES_ON, schema_phase
from lab.operations.unfinished import Stage
from lab.ports import Event
from lab.proof import Command, Outcome, Verdict
from lab.proof.exit_codes import exit_code
from lab.traffic import ContainerSource, HostSource, Load, plan_of
from lab.transitions import Happening

WATCH_SECONDS = 0.25
TAIL_SECONDS = 1.0
"""Traffic goes on for this long after the last swap: what the end of the roll broke has to be seen."""
_LEAVES = frozenset({Happening.TURNED_BACK, Happening.ABORTED})
RUN_NAME = 38
"""So long may a run's id be: request ids begin with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A roll that nothing refuses: what it goes from, to, and how."""

    source: Revision
    target: Revision
    spec: RolloutSpec
    steps: tuple[migrate.Phase, ...]
    schema: str | None
    images: images.Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a run does. `stage`: how far an earlier command of the same run came; None: it is a new one.

    `earlier`: the runs that it goes on with, the nearest first. `goal`: what its command wants of the rollout.
    """

    run: str
    account: Account
    images: images.Images
    stage: Stage | None = None
    ended: Ended | None = None
    earlier: tuple[str, ...] = ()
    goal: Ending = Ending.DONE
    events: tuple[Event, ...] = field(default=())
    """Of the run, before this command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    verdict: Verdict
    folder: Path
    exit_code: int


def new_course(lab: Lab, request: RollRequest, ready: Prepared) -> Course:
    account = Account(
        command=request.kind,
        from_version=ready.source.version,
        to_version=ready.target.version,
        spec=ready.spec,
        steps=tuple(phase.name for phase in ready.steps),
        schema_before=ready.schema,
        schema_mode=request.schema,
        marks=tuple(mark for mark, on in (("anyway", request.anyway), ("skip-drain", request.skip_drain)) if on),
        measured=request.load,
        load=request.choice.over(lab.manifest.load.choice).settled(),
    )
    return Course(run=new_run(lab, account), account=account, images=ready.images)


def new_run(lab: Lab, account: Account) -> str:
    """A name that no run has yet."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{account.from_version}-{account.to_version}"
    base = stem[: RUN_NAME - 3].rstrip("-.")
    name, n = base, 2
    while (lab.project.runs / name).exists():
        name, n = f"{base}-{n}", n + 1
    return name


class Run:
    """One run, to its verdict."""

    def __init__(self, lab: Lab, gateway: ProxyGateway, course: Course, listen: Listener) -> None:
        self._lab = lab
        self._gateway = gateway
        self._course = course
        self._account = course.account
        self._listen = listen
        self.run = course.run
        self.folder = lab.project.runs / self.run

    async def go(self) -> RunResult:
        self.folder.mkdir(parents=True, exist_ok=self._course.stage is not None)
        clock = await measure_clock(self._gateway)
        if self._course.stage is None:
            self._note(clock, "run-started", **account_to_json(self._account))
        self._note(clock, "clock-measured", offset_ns=clock.offset_ns, error_ns=clock.error_ns)
        with Interrupts() as interrupts:
            ended, ended_ns = await self._under_load(clock, interrupts)
        await asyncio.to_thread(keep_living_logs, self._lab, self.folder)
        record = self._record(ended, ended_ns)
        verdict = await asyncio.to_thread(conclude, self._lab, self.folder, record)
        self._note(clock, "run-ended", outcome=verdict.outcome, exit_code=verdict.exit_code)
        return RunResult(verdict=verdict, folder=self.folder, exit_code=self._exit_code(ended, verdict, interrupts))

    def _exit_code(self, ended: Ended, verdict: Verdict, interrupts: Interrupts) -> int:
        """The verdict's; but who asked for what the rollout ended as has reached the goal."""
        if ended.ending is self._course.goal:
            return exit_code(Outcome.DONE, verdict.outcome)
        terminated = interrupts.signal is signal.SIGTERM and verdict.exit_code == Exit.INTERRUPTED
        return Exit.TERMINATED if terminated else verdict.exit_code

    # under load

    async def _under_load(self, clock: OffsetClock, interrupts: Interrupts) -> tuple[Ended, int]:
        load = self._load() if self._account.measured else None
        telling = self._telling(load, clock)
        try:
            begun = load is not None and await self._start(load, clock)
            if load and self._account.command is Command.LOAD:
                return await self._watch(load, clock, interrupts)
            if begun:
                await interrupts.sleep(self._lab.manifest.load.baseline)
            ended = self._course.ended or await self._roll(load, clock, interrupts)
            ended_ns = self._ended_ns(clock)
            if load and not self._course.ended:
                await interrupts.sleep(TAIL_SECONDS)
        except JournalError:
            load = None  # as after a kill: it goes on, and is adopted by whoever resumes
            raise
        finally:
            if load:
                await self._finish(load, clock)
            if telling:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
        return ended, ended_ns

    async def _watch(self, load: Load, clock: OffsetClock, interrupts: Interrupts) -> tuple[Ended, int]:
        """Nothing is rolled: it is over when the load has ended by itself, or is told to."""
        begun_ns = said_ns = clock.now_ns()
        while not (load.is_over or interrupts.signal):
            await interrupts.sleep(WATCH_SECONDS)
            now = clock.now_ns()
            if now - said_ns >= HEARTBEAT_SECONDS * 1e9:
                said_ns, left = now, (self._account.seconds or 0.0) - (now - begun_ns) / 1e9
                told = f"the load to end, {load.tick.get('finished', 0)} answered, {load.tick.get('failed', 0)} failed"
                data = {"on": told, "left": max(left, 0.0)}
                self._listen(Event(type="waiting", run=self.run, t_ns=now, data=data))
        ending = Ending.INTERRUPTED if interrupts.signal else Ending.DONE
        said = load.tick
        return Ended(ending=ending), int(said["t"]) if said.get("type") == "finished" else clock.now_ns()

    def _telling(self, load: Load | None, clock: OffsetClock) -> "asyncio.Task[None] | None":
        """What versions do to each other's data is said while it happens."""
        if load is None:
            return None
        return asyncio.create_task(tell_mixes(lambda: load.tick, partial(self._note, clock)))

    def _load(self) -> Load:
        lab, account = self._lab, self._account
        plan = plan_of(account.load, run=self.run, replicas=account.spec.replicas)
        plan = replace(
            plan,
            max_seconds=account.seconds or plan.max_seconds,
            max_requests=account.requests or plan.max_requests,
            web=account.web,
            tell_answers=any(gate.measure is Measure.LATENCY for gate in account.spec.gates),
        )
        if lab.manifest.around.own:
            plan = replace(plan, alive=lab.manifest.readiness.path)
        if account.load.load_from is LoadFrom.HOST:
            runs, home = lab.project.runs, lab.project.home
            return Load(HostSource(port=lab.port, folder=runs, checkout=home, fetch=self._fetch), plan)
        name, image = lab.project.compose_name, self._course.images.load
        return Load(ContainerSource(lab.host, image=image, compose_name=name, fetch=self._fetch), plan)

    def _fetch(self, run: str, into: Path) -> None:
        proxy = self._lab.host.static().get("proxy")
        if proxy:
            self._lab.host.copy_out(proxy.container_id, f"/runs/{run}", into)

    async def _start(self, load: Load, clock: OffsetClock) -> bool:
        """Return whether it begins now. A load that is gone is begun no second time: its ledger says that it is."""
        await self._gateway.open_run(self.run)
        if self._course.stage is not None:
            if await load.adopt():
                self._note(clock, "load-adopted")
                return False
            if any(event.type == "load-started" for event in self._course.events):
                return False
        await load.start()
        plan = load.plan
        page = {"web": plan.web} if plan.web else {}
        self._note(clock, "load-started", rate=plan.rate, replicas=plan.replicas, seed=plan.seed, **page)
        return True

    async def _finish(self, load: Load, clock: OffsetClock) -> None:
        begun_ns, stopping = clock.now_ns(), asyncio.create_task(load.stop())
        while not (await asyncio.wait({stopping}, timeout=HEARTBEAT_SECONDS))[0]:
            now = clock.now_ns()
            left = load.plan.deadline - (now - begun_ns) / 1e9
            data = {"on": f"{load.tick.get('in_flight', 0)} answers that may still come", "left": max(left, 0.0)}
            self._listen(Event(type="waiting", run=self.run, t_ns=now, data=data))
        await stopping
        with suppress(GatewayError):  # a proxy that is gone leaves its ledger without an end, which is seen
            await self._gateway.close_run()
        await load.collect(self._lab.project.runs)

    # the rollout

    async def _roll(self, load: Load | None, clock: OffsetClock, interrupts: Interrupts) -> Ended:
        for phase in self._steps():
            if interrupts.signal:
                return Ended(ending=Ending.INTERRUPTED, reason="interrupted before the rollout began")
            try:
                await asyncio.to_thread(self._step_up, clock, phase)
            except LabError as error:
                return Ended(ending=Ending.PAUSED_BY_ENVIRONMENT, reason=error.what, where=error.where)
        attempt = Attempt(
            run=self.run,
            kind=self._account.command,
            spec=self._account.spec,
            earlier=self._course.earlier,
            again=self._course.stage in {Stage.ROLLING, Stage.PAUSED},
            linger=True,
        )
        return await run_rollout(
            self._lab,
            self._gateway,
            clock,
            attempt,
            listen=self._listen,
            archive=lambda name, log: keep_log(self.folder, name, log),
            feed=load,
            interruptible=lambda controller: interrupts.then(controller.interrupt),
        )

    def _steps(self) -> list[migrate.Phase]:
        """The steps of the schema that are not taken yet: who was killed may have taken one and not said so."""
        plan, names = self._lab.plan, self._account.steps
        if plan is None or not names:
            return []
        now = schema_phase(self._lab)
        reached = plan.index(now) if now and now != migrate.NOTHING else -1
        return [plan.phase(name) for name in names if plan.index(name) > reached]

    def _step_up(self, clock: OffsetClock, phase: migrate.Phase) -> None:
        plan = self._lab.plan
        if plan is None:
            return
        self._note(clock, "schema-step", phase=phase.name, what="begins")
        migrate.step_up(self._lab.database(), plan, phase)
        self._note(clock, "schema-step", phase=phase.name, what="done")

    # what is told of it

    def _record(self, ended: Ended, ended_ns: int) -> RunRecord:
        account, lab = self._account, self._lab
        events = lab.journal.events(run=self.run)
        first = {"load-started"} if account.command is Command.LOAD else {"schema-step", "rollout-started"}
        began = [e.t_ns for e in events if e.type in first]
        return RunRecord(
            run=self.run,
            command=account.command,
            from_version=account.from_version,
            to_version=account.to_version,
            started_ns=min(began, default=ended_ns),
            ended_ns=ended_ns,
            ended=ended,
            schema_before=account.schema_before,
            schema_after=schema_phase(lab),
            schema_mode=account.schema_mode,
            marks=account.marks,
            min_requests=account.load.min_requests,
            measured=account.measured,
            fix=self._fix(ended, events),
            events=events,
        )

    def _fix(self, ended: Ended, events: Sequence[Event]) -> str:
        target, rolled = self._account.to_version, any(e.type == "rollout-started" for e in events)
        turns = [e.data["cause"] for e in events if e.type == "phase-changed" and e.data["happening"] in _LEAVES]
        match ended.ending:
            case Ending.DONE:
                return ""
            case _ if self._account.command is Command.LOAD:
                return "lab load run begins anew"
            case Ending.PAUSED_BY_ENVIRONMENT | Ending.INTERRUPTED:
                following = "lab resume" if rolled else f"lab roll {target}"
                return f"lab status; lab up starts what is missing; then {following} goes on"
            case Ending.PAUSED:
                return f"{GOES_ON}; the whole logs are in {self.folder / 'logs'}"
            case Ending.ABORTED:
                return f"lab status shows what runs; lab up makes it one version again, lab roll {target} begins anew"
            case Ending.ROLLED_BACK if turns[-1:] == [Cause.OPERATOR]:
                return f"lab roll {target} begins anew"
            case _:
                return f"mend {target} and roll it again; the whole logs are in {self.folder / 'logs'}"

    def _ended_ns(self, clock: OffsetClock) -> int:
        ends = self._lab.journal.events(run=self.run, types=["rollout-ended", "rollout-paused"])
        return ends[-1].t_ns if ends else clock.now_ns()

    def _note(self, clock: OffsetClock, type: str, **data: object) -> None:
        event: Event = self._lab.journal.append(type, self.run, clock.now_ns(), data)
        self._listen(event)
