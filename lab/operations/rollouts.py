"""Runs one rollout through the controller, with its beginning and its end in the journal."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from lab.assembly import Lab
from lab.clock import OffsetClock
from lab.controller import Controller, Ended, Rollout, World
from lab.gateway import ProxyGateway
from lab.model import Ending, Order, RolloutSpec
from lab.ports import Event
from lab.watch import WorldWatch

Listener = Callable[[Event], None]
Archive = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One rollout to run: `back_to` is the revision to return to if the target fails. Timeouts None: the manifest's."""

    run: str
    kind: str
    target: int
    back_to: int | None
    replicas: int
    order: Order
    batch: int
    ready_timeout: float | None = None
    drain_timeout: float | None = None
    wait_for_drain: bool = True


async def run_rollout(
    lab: Lab,
    gateway: ProxyGateway,
    clock: OffsetClock,
    attempt: Attempt,
    *,
    listen: Listener,
    archive: Archive,
    interruptible: Callable[[Controller], None] = lambda _: None,
) -> Ended:
    """Roll, and return how it ended. The journal has `rollout-started` before and `rollout-ended` after."""
    world = World(
        engine=lab.engine,
        gateway=gateway,
        watch=WorldWatch(gateway, lab.engine.changed),
        clock=clock,
        journal=lab.journal,
        archive=archive,
    )
    rollout = Rollout(
        run=attempt.run,
        service=lab.manifest.service,
        spec=replace(spec_of(lab, attempt), since_ns=clock.now_ns()),
        back_to=attempt.back_to,
        revisions=dict(lab.history().revisions),
        readiness=lab.manifest.readiness,
    )
    listen(_record_start(lab, clock, attempt, rollout.spec))
    controller = Controller(world, rollout, on_event=listen)
    interruptible(controller)
    close_watch = lab.engine.watch(asyncio.get_running_loop())
    try:
        ended = await controller.run()
    finally:
        with suppress(Exception):  # a stream that is gone needs no closing
            close_watch()
    listen(_record_end(lab, clock, attempt, ended))
    return ended


def spec_of(lab: Lab, attempt: Attempt) -> RolloutSpec:
    first = attempt.order is Order.START_FIRST
    return RolloutSpec(
        target=attempt.target,
        replicas=attempt.replicas,
        surge=attempt.batch if first else 0,
        unavailable=0 if first else attempt.batch,
        ready_timeout=lab.manifest.ready_timeout if attempt.ready_timeout is None else attempt.ready_timeout,
        drain_timeout=lab.manifest.drain_timeout if attempt.drain_timeout is None else attempt.drain_timeout,
        wait_for_drain=attempt.wait_for_drain,
    )


def _record_start(lab: Lab, clock: OffsetClock, attempt: Attempt, spec: RolloutSpec) -> Event:
    history = lab.history()
    now = history.revisions.get(history.current or 0)
    data = {
        "kind": attempt.kind,
        "from": now.version if now else None,
        "to": history.revisions[attempt.target].version,
        "target": attempt.target,
        "replicas": attempt.replicas,
        "order": attempt.order,
        "batch": attempt.batch,
        "surge": spec.surge,
        "unavailable": spec.unavailable,
    }
    return lab.journal.append("rollout-started", attempt.run, clock.now_ns(), data)


def _record_end(lab: Lab, clock: OffsetClock, attempt: Attempt, ended: Ended) -> Event:
    reached = {Ending.DONE: attempt.target, Ending.ROLLED_BACK: attempt.back_to}.get(ended.ending)
    data = {"ending": ended.ending, "reason": ended.reason, "where": ended.where, "reached": reached}
    kind = "rollout-paused" if ended.ending in _RESUMABLE else "rollout-ended"
    return lab.journal.append(kind, attempt.run, clock.now_ns(), data)


_RESUMABLE = {Ending.INTERRUPTED, Ending.PAUSED_BY_ENVIRONMENT, Ending.PAUSED}
