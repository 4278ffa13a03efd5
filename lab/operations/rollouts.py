"""Runs one rollout through the controller, with its beginning and its end in the journal."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from lab.assembly import Lab
from lab.beside import LookBeside
from lab.clock import OffsetClock
from lab.controller import Controller, Ended, Rollout, World
from lab.counting import CountedTraffic, CountingLook, counted_so_far
from lab.feelings import Feed
from lab.gateway import ProxyGateway
from lab.inbox import SqliteInbox, WakingWatch
from lab.model import Ending, RolloutSpec
from lab.observation import WholeLook
from lab.ports import Event
from lab.recording import SightsFile, recorded
from lab.spec_codec import spec_to_json
from lab.watch import WorldWatch

Listener = Callable[[Event], None]
Archive = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One rollout to run, and what it is told as: up, scale, roll or rollback.

    `again`: its controller is gone, and another goes on with the same run. `earlier`: the runs that this one goes on
    with, the nearest first. `linger`: paused by an operator's word, it waits for another.
    """

    run: str
    kind: str
    spec: RolloutSpec
    earlier: tuple[str, ...] = ()
    again: bool = False
    linger: bool = False


async def run_rollout(
    lab: Lab,
    gateway: ProxyGateway,
    clock: OffsetClock,
    attempt: Attempt,
    *,
    listen: Listener,
    archive: Archive,
    feed: Feed | None = None,
    interruptible: Callable[[Controller], None] = lambda _: None,
) -> Ended:
    """Roll, and return how it ended. The journal has `rollout-started` before and `rollout-ended` after.

    `feed`: the load that runs beside it, for the gates that ask its users.
    """
    so_far = counted_so_far(lab.journal.events(types=["phase-changed"]), {attempt.run, *attempt.earlier})
    traffic = CountedTraffic(so_far, feed)
    whole = WholeLook(lab.engine, gateway)
    world = World(
        engine=lab.engine,
        gateway=gateway,
        watch=WakingWatch(WorldWatch(gateway, lab.engine.changed), lab.journal),
        clock=clock,
        journal=lab.journal,
        archive=archive,
        observer=CountingLook(LookBeside(whole, lab.host.static, now=time.monotonic), traffic),
        traffic=traffic,
        inbox=SqliteInbox(lab.journal, attempt.run),
    )
    rollout = Rollout(
        run=attempt.run,
        service=lab.manifest.service,
        spec=replace(attempt.spec, since_ns=clock.now_ns()),
        back_to=attempt.spec.back_to,
        revisions=dict(lab.history().revisions),
        readiness=lab.manifest.readiness,
        earlier=attempt.earlier,
        linger=attempt.linger,
    )
    begun = _record_start(lab, clock, attempt)
    listen(begun)
    sights = SightsFile(lab.project.runs / attempt.run)
    controller = Controller(recorded(world, rollout, sights.write, after=begun.seq), rollout, on_event=listen)
    interruptible(controller)
    close_watch = lab.engine.watch(asyncio.get_running_loop())
    try:
        ended = await controller.run()
    finally:
        with suppress(Exception):  # a stream that is gone needs no closing
            close_watch()
        sights.close()
    listen(_record_end(lab, clock, attempt.run, ended, controller.target))
    return ended


def _record_start(lab: Lab, clock: OffsetClock, attempt: Attempt) -> Event:
    if attempt.again:
        return lab.journal.append("rollout-resumed", attempt.run, clock.now_ns(), {"pid": os.getpid()})
    history, spec = lab.history(), attempt.spec
    now = history.revisions.get(history.current or 0)
    data = {
        "kind": attempt.kind,
        "from": now.version if now else None,
        "to": history.revisions[spec.target].version,
        "target": spec.target,
        "replicas": history.replicas if attempt.earlier else spec.replicas,
        "spec": spec_to_json(spec),
        "continues": attempt.earlier[0] if attempt.earlier else None,
        "pid": os.getpid(),
    }
    return lab.journal.append("rollout-started", attempt.run, clock.now_ns(), data)


def _record_end(lab: Lab, clock: OffsetClock, run: str, ended: Ended, target: int) -> Event:
    reached = target if ended.ending in {Ending.DONE, Ending.ROLLED_BACK} else None
    data = {"ending": ended.ending, "reason": ended.reason, "where": ended.where, "reached": reached}
    kind = "rollout-paused" if ended.ending in _RESUMABLE else "rollout-ended"
    return lab.journal.append(kind, run, clock.now_ns(), data)


_RESUMABLE = {Ending.INTERRUPTED, Ending.PAUSED_BY_ENVIRONMENT, Ending.PAUSED}
