"""One run: baseline, schema steps, rollout, tail; then its evidence, and the verdict."""

import asyncio
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab import images, migrate
from lab.assembly import Lab
from lab.clock import OffsetClock, measure_clock
from lab.controller import Ended
from lab.errors import Exit, GatewayError, LabError
from lab.gateway import ProxyGateway
from lab.model import Ending, LoadFrom, Revision, RolloutSpec
from lab.operations.evidence import RunRecord, conclude, keep_living_logs, keep_log
from lab.operations.interrupts import Interrupts
from lab.operations.request import RollRequest
from lab.operations.rollouts import Attempt, Listener, run_rollout
from lab.operations.status import schema_phase
from lab.ports import Event
from lab.proof import Verdict
from lab.traffic import ContainerSource, HostSource, Load, LoadPlan

TAIL_SECONDS = 1.0
"""Traffic goes on for this long after the last swap: what the end of the roll broke has to be seen."""
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
class RunResult:
    verdict: Verdict
    folder: Path
    exit_code: int


class Run:
    """One run, from its baseline to its verdict."""

    def __init__(
        self, lab: Lab, gateway: ProxyGateway, request: RollRequest, ready: Prepared, listen: Listener
    ) -> None:
        self._lab = lab
        self._gateway = gateway
        self._request = request
        self._ready = ready
        self._listen = listen
        self.run = _run_name(lab, ready)
        self.folder = lab.project.runs / self.run

    async def go(self) -> RunResult:
        self.folder.mkdir(parents=True)
        clock = await measure_clock(self._gateway)
        with Interrupts() as interrupts:
            started, ended = await self._under_load(clock, interrupts)
        await asyncio.to_thread(keep_living_logs, self._lab, self.folder)
        record = self._record(clock, started, ended)
        verdict = await asyncio.to_thread(conclude, self._lab, self.folder, record)
        terminated = interrupts.signal is signal.SIGTERM and verdict.exit_code == Exit.INTERRUPTED
        return RunResult(
            verdict=verdict, folder=self.folder, exit_code=Exit.TERMINATED if terminated else verdict.exit_code
        )

    async def _under_load(self, clock: OffsetClock, interrupts: Interrupts) -> tuple[int, Ended]:
        load = self._load() if self._request.load else None
        try:
            if load:
                await self._start(load, clock)
                await interrupts.sleep(self._lab.manifest.load.baseline)
            started = clock.now_ns()
            ended = await self._roll(clock, interrupts)
            if load:
                await interrupts.sleep(TAIL_SECONDS)
        finally:
            if load:
                await self._finish(load)
        return started, ended

    def _load(self) -> Load:
        lab, request, ready = self._lab, self._request, self._ready
        rate = request.rate or lab.manifest.load.rate
        plan = LoadPlan(run=self.run, rate=rate, replicas=ready.spec.replicas, seed=1)
        if request.load_from is LoadFrom.HOST:
            runs, home = lab.project.runs, lab.project.home
            return Load(HostSource(port=lab.port, folder=runs, checkout=home, fetch=self._fetch), plan)
        source = ContainerSource(lab.host, image=ready.images.load, compose_name=lab.project.compose_name)
        return Load(source, plan)

    def _fetch(self, run: str, into: Path) -> None:
        proxy = self._lab.host.static().get("proxy")
        if proxy:
            self._lab.host.copy_out(proxy.container_id, f"/runs/{run}", into)

    async def _start(self, load: Load, clock: OffsetClock) -> None:
        await self._gateway.open_run(self.run)
        await load.start()
        plan = load.plan
        self._note(clock, "load-started", rate=plan.rate, replicas=plan.replicas, seed=plan.seed)

    async def _finish(self, load: Load) -> None:
        await load.stop()
        with suppress(GatewayError):  # a proxy that is gone leaves its ledger without an end, which is seen
            await self._gateway.close_run()
        await load.collect(self._lab.project.runs)

    async def _roll(self, clock: OffsetClock, interrupts: Interrupts) -> Ended:
        ready = self._ready
        for phase in ready.steps:
            if interrupts.signal:
                return Ended(ending=Ending.INTERRUPTED, reason="interrupted before the rollout began")
            try:
                await asyncio.to_thread(self._step_up, clock, phase)
            except LabError as error:
                return Ended(ending=Ending.PAUSED_BY_ENVIRONMENT, reason=error.what, where=error.where)
        attempt = Attempt(run=self.run, kind=self._request.kind, spec=ready.spec)
        return await run_rollout(
            self._lab,
            self._gateway,
            clock,
            attempt,
            listen=self._listen,
            archive=lambda name, log: keep_log(self.folder, name, log),
            interruptible=lambda controller: interrupts.then(controller.interrupt),
        )

    def _step_up(self, clock: OffsetClock, phase: migrate.Phase) -> None:
        plan = self._lab.plan
        if plan is None:
            return
        self._note(clock, "schema-step", phase=phase.name, what="begins")
        migrate.step_up(self._lab.database(), plan, phase)
        self._note(clock, "schema-step", phase=phase.name, what="done")

    def _record(self, clock: OffsetClock, started: int, ended: Ended) -> RunRecord:
        ready, request, lab = self._ready, self._request, self._lab
        source, target = ready.source.version, ready.target.version
        return RunRecord(
            run=self.run,
            command=request.kind,
            from_version=source,
            to_version=target,
            started_ns=started,
            ended_ns=self._ended_ns(clock),
            ended=ended,
            schema_before=ready.schema,
            schema_after=schema_phase(lab),
            schema_mode=request.schema,
            marks=tuple(mark for mark, on in (("anyway", request.anyway), ("skip-drain", request.skip_drain)) if on),
            min_requests=lab.manifest.load.min_requests if request.min_requests is None else request.min_requests,
            measured=request.load,
            fix=self._fix(ended, target),
            events=lab.journal.events(run=self.run),
        )

    def _fix(self, ended: Ended, target: str) -> str:
        match ended.ending:
            case Ending.DONE:
                return ""
            case Ending.PAUSED_BY_ENVIRONMENT | Ending.INTERRUPTED:
                return f"lab status; lab up starts what is missing; then lab roll {target} goes on"
            case _:
                return f"mend {target} and roll it again; the whole logs are in {self.folder / 'logs'}"

    def _ended_ns(self, clock: OffsetClock) -> int:
        ends = self._lab.journal.events(run=self.run, types=["rollout-ended", "rollout-paused"])
        return ends[-1].t_ns if ends else clock.now_ns()

    def _note(self, clock: OffsetClock, type: str, **data: object) -> None:
        event: Event = self._lab.journal.append(type, self.run, clock.now_ns(), data)
        self._listen(event)


def _run_name(lab: Lab, ready: Prepared) -> str:
    base = f"{time.strftime('%Y%m%d-%H%M%S')}-{ready.source.version}-{ready.target.version}"[: RUN_NAME - 3].rstrip(
        "-."
    )
    name, n = base, 2
    while (lab.project.runs / name).exists():
        name, n = f"{base}-{n}", n + 1
    return name
