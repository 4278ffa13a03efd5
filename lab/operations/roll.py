"""`lab roll` and `lab rollback`: baseline, schema, rollout, verdict; traffic runs through all of it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lab import images, migrate
from lab.assembly import Lab, not_up
from lab.clock import OffsetClock, measure_clock
from lab.controller import Controller, Ended
from lab.errors import GatewayError, LabError, UsageError
from lab.folds import History
from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.model import Ending, LoadFrom, Order, Revision, SchemaMode
from lab.operations.evidence import RunRecord, conclude, keep_living_logs, keep_log
from lab.operations.revisions import ensure_revision
from lab.operations.rollouts import Attempt, Listener, run_rollout
from lab.operations.up import is_whole
from lab.ports import Event
from lab.proof import Command, Verdict
from lab.traffic import ContainerSource, HostSource, Load, LoadPlan

TAIL_SECONDS = 1.0
"""Traffic goes on for this long after the last swap: what the end of the roll broke has to be seen."""
RUN_NAME = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class RollRequest:
    """`version` None: the previous one (`lab rollback`). None elsewhere: the manifest's value."""

    version: str | None
    kind: Command = Command.ROLL
    order: Order | None = None
    batch: int | None = None
    ready_timeout: float | None = None
    drain_timeout: float | None = None
    rate: float | None = None
    min_requests: int | None = None
    load: bool = True
    load_from: LoadFrom = LoadFrom.CONTAINER
    schema: SchemaMode = SchemaMode.AUTO
    anyway: bool = False
    skip_drain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RollResult:
    """`verdict` None: there was nothing to do."""

    version: str
    verdict: Verdict | None
    folder: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    source: Revision
    target: Revision
    replicas: int
    order: Order
    batch: int
    steps: tuple[migrate.Phase, ...]
    schema: str | None
    images: images.Images


async def roll(lab: Lab, request: RollRequest, *, listen: Listener) -> RollResult:
    """Take the fleet to a version under traffic, and judge what it cost. LabError for what must not be begun."""
    check(lab, request)
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home):
        ready = await asyncio.to_thread(_prepare, lab, request)
        history = lab.history()
        same = ready.target.number == history.current and not history.running
        if same and await is_whole(lab, gateway, ready.target, ready.replicas):
            return RollResult(version=ready.target.version, verdict=None, folder=None)
        return await _Run(lab, gateway, request, ready, listen).go()


def check(lab: Lab, request: RollRequest) -> None:
    """Refuse what cannot be meant, before any engine is asked."""
    if request.version is not None:
        lab.manifest.version(request.version)
    if request.batch is not None and request.batch < 1:
        raise UsageError(id="batch", what=f"a batch of {request.batch} replaces nothing", fix="--batch 1 or more")
    if request.rate is not None and request.rate <= 0:
        raise UsageError(id="rate", what=f"{request.rate:g} requests a second are no load", fix="--no-load")


def _prepare(lab: Lab, request: RollRequest) -> _Prepared:
    """Everything that can refuse the roll, before anything is touched."""
    history = lab.history()
    if history.current is None:
        raise not_up(lab.project, "no fleet has come up")
    source = history.revisions[history.current]
    made = images.ensure_all()
    target = _target(lab, request, history, source, made)
    order, batch = request.order or lab.manifest.order, request.batch or lab.manifest.batch
    _check_budget(order, batch, history.replicas)
    steps, schema = _schema_steps(lab, request, source, target)
    return _Prepared(
        source=source,
        target=target,
        replicas=history.replicas,
        order=order,
        batch=batch,
        steps=steps,
        schema=schema,
        images=made,
    )


def _target(lab: Lab, request: RollRequest, history: History, source: Revision, made: images.Images) -> Revision:
    if request.version is None:
        back = history.current if history.running else history.previous
        if back is None:
            raise LabError(id="no-previous", what="there is no earlier revision to go back to", fix="lab roll VERSION")
        return history.revisions[back]
    version = lab.manifest.version(request.version)
    target = ensure_revision(lab, version, made, replicas=history.replicas)
    if history.running and history.rolling_to not in {target.number, None} and target.number != source.number:
        unfinished = history.revisions[history.rolling_to or 0].version
        raise LabError(
            id="unfinished",
            what=f"the rollout {history.running} to {unfinished} has not ended",
            fix=f"lab roll {unfinished} goes on with it, lab rollback goes back to {source.version}",
        )
    return target


def _check_budget(order: Order, batch: int, replicas: int) -> None:
    if batch > replicas:
        raise UsageError(
            id="batch", what=f"a batch of {batch} is more than the {replicas} replicas", fix=f"--batch 1 to {replicas}"
        )
    if order is Order.STOP_FIRST and batch >= replicas:
        raise LabError(
            id="no-replica-left",
            what=f"stop-first with a batch of {batch} of {replicas} would leave no replica to serve",
            fix="--order start-first, a smaller --batch, or more replicas: lab up --replicas N",
        )


def _schema_steps(
    lab: Lab, request: RollRequest, source: Revision, target: Revision
) -> tuple[tuple[migrate.Phase, ...], str | None]:
    if lab.plan is None:
        return (), None
    now = migrate.current_phase(lab.database())
    both = {source.serves_as, target.serves_as}
    missing = sorted(both - lab.plan.phase(now).serves)
    if not missing:
        return (), now
    way = lab.plan.way_to_serve(now, both) if request.schema is SchemaMode.AUTO else None
    if way is not None:
        return way, now
    if request.anyway:
        return (), now
    raise LabError(
        id="schema-does-not-serve",
        what=f"the schema is {now}, which does not serve {' and '.join(missing)}",
        where=f"{source.version} and {target.version} run side by side during the roll",
        fix="lab migrate expand, then lab migrate backfill; or --schema auto; --anyway shows what breaks",
    )


class _Run:
    """One run, from its baseline to its verdict."""

    def __init__(
        self, lab: Lab, gateway: ProxyGateway, request: RollRequest, ready: _Prepared, listen: Listener
    ) -> None:
        self._lab = lab
        self._gateway = gateway
        self._request = request
        self._ready = ready
        self._listen = listen
        self.run = _run_name(lab, ready)
        self.folder = lab.project.runs / self.run

    async def go(self) -> RollResult:
        self.folder.mkdir(parents=True)
        clock = await measure_clock(self._gateway)
        load = await self._start_load(clock) if self._request.load else None
        started = clock.now_ns()
        try:
            ended = await self._roll(clock)
            if load and ended.ending is not Ending.INTERRUPTED:
                await asyncio.sleep(TAIL_SECONDS)
        finally:
            if load:
                await load.stop()
                with suppress(GatewayError):  # a proxy that is gone leaves its ledger without an end, which is seen
                    await self._gateway.close_run()
                await load.collect(self._lab.project.runs)
        await asyncio.to_thread(keep_living_logs, self._lab, self.folder)
        record = self._record(clock, started, ended)
        verdict = await asyncio.to_thread(conclude, self._lab, self.folder, record)
        return RollResult(version=self._ready.target.version, verdict=verdict, folder=self.folder)

    async def _start_load(self, clock: OffsetClock) -> Load:
        manifest, request = self._lab.manifest, self._request
        plan = LoadPlan(run=self.run, rate=request.rate or manifest.load.rate, replicas=self._ready.replicas, seed=1)
        await self._gateway.open_run(self.run)
        load = Load(self._source(), plan)
        await load.start()
        self._note(clock, "load-started", rate=plan.rate, replicas=plan.replicas, seed=plan.seed)
        await asyncio.sleep(manifest.load.baseline)
        return load

    def _source(self) -> ContainerSource | HostSource:
        lab = self._lab
        if self._request.load_from is LoadFrom.HOST:
            return HostSource(port=lab.port, folder=lab.project.runs, checkout=lab.project.home, fetch=self._fetch)
        image, name = self._ready.images.load, lab.project.compose_name
        return ContainerSource(lab.host, image=image, compose_name=name)

    def _fetch(self, run: str, into: Path) -> None:
        proxy = self._lab.static()["proxy"].container_id
        self._lab.host.copy_out(proxy, f"/runs/{run}", into)

    async def _roll(self, clock: OffsetClock) -> Ended:
        ready, lab = self._ready, self._lab
        try:
            for phase in ready.steps:
                await asyncio.to_thread(self._step_up, clock, phase)
        except LabError as error:
            return Ended(ending=Ending.PAUSED_BY_ENVIRONMENT, reason=error.what, where=error.where)
        attempt = Attempt(
            run=self.run,
            kind=self._request.kind,
            target=ready.target.number,
            back_to=None if self._request.kind is Command.ROLLBACK else ready.source.number,
            replicas=ready.replicas,
            order=ready.order,
            batch=ready.batch,
            ready_timeout=self._request.ready_timeout,
            drain_timeout=self._request.drain_timeout,
            wait_for_drain=not self._request.skip_drain,
        )
        with_interrupt = _Interrupts()
        try:
            return await run_rollout(
                lab,
                self._gateway,
                clock,
                attempt,
                listen=self._listen,
                archive=lambda name, log: keep_log(self.folder, name, log),
                interruptible=with_interrupt.arm,
            )
        finally:
            with_interrupt.disarm()

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
            ended=_with_advice(ended, target),
            schema_before=ready.schema,
            schema_after=migrate.current_phase(lab.database()) if lab.plan else None,
            schema_mode=request.schema,
            marks=tuple(mark for mark, on in (("anyway", request.anyway), ("skip-drain", request.skip_drain)) if on),
            min_requests=lab.manifest.load.min_requests if request.min_requests is None else request.min_requests,
            measured=request.load,
            fix=f"lab logs, then lab roll {target} again" if ended.ending is not Ending.DONE else "",
            events=lab.journal.events(run=self.run),
        )

    def _ended_ns(self, clock: OffsetClock) -> int:
        ends = self._lab.journal.events(run=self.run, types=["rollout-ended", "rollout-paused"])
        return ends[-1].t_ns if ends else clock.now_ns()

    def _note(self, clock: OffsetClock, type: str, **data: object) -> None:
        event: Event = self._lab.journal.append(type, self.run, clock.now_ns(), data)
        self._listen(event)


def _with_advice(ended: Ended, target: str) -> Ended:
    if ended.ending is Ending.ROLLED_BACK and "not ready" in ended.reason:
        return replace(ended, reason=f"{target} never became ready: {ended.reason}")
    return ended


def _run_name(lab: Lab, ready: _Prepared) -> str:
    base = f"{time.strftime('%Y%m%d-%H%M%S')}-{ready.source.version}-{ready.target.version}"[: RUN_NAME - 3].rstrip(
        "-."
    )
    name, n = base, 2
    while (lab.project.runs / name).exists():
        name, n = f"{base}-{n}", n + 1
    return name


class _Interrupts:
    """Ctrl-C once: the current step is finished, then the rollout pauses. Twice: at once; it stays resumable."""

    def arm(self, controller: Controller) -> None:
        self._previous = {sig: signal.getsignal(sig) for sig in (signal.SIGINT, signal.SIGTERM)}
        for sig in self._previous:
            signal.signal(sig, self._handler(controller))

    def disarm(self) -> None:
        for sig, handler in getattr(self, "_previous", {}).items():
            signal.signal(sig, handler)

    def _handler(self, controller: Controller) -> Callable[[int, object], None]:
        def once(number: int, _frame: object) -> None:
            controller.interrupt()
            os.write(2, b"\nfinishing the current step, then pausing; again: stop now\n")
            signal.signal(number, signal.default_int_handler)

        return once
