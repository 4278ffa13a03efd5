"""Load on a fleet that nobody replaces, and its verdict."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lab import images
from lab.assembly import Lab
from lab.clock import measure_clock
from lab.gateway import ProxyGateway
from lab.operations.evidence import keep_living_logs, read_ledgers, written
from lab.proof import Command, Outcome, RunFacts, Verdict, judge
from lab.traffic import ContainerSource, Load, LoadPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """`version`: what the fleet runs."""

    plan: LoadPlan
    version: str
    min_requests: int = 1


async def steady(
    lab: Lab, gateway: ProxyGateway, it: Steady, made: images.Images, during: Callable[[], Awaitable[None]]
) -> Verdict:
    """Offer that load for as long as `during` takes, let it finish, and judge. The caller holds the lease."""
    run, folder = it.plan.run, lab.project.runs / it.plan.run
    folder.mkdir(parents=True)
    clock = await measure_clock(gateway)
    load = Load(ContainerSource(lab.host, image=made.load, compose_name=lab.project.compose_name), it.plan)
    await gateway.open_run(run)
    try:
        await load.start()
        began = clock.now_ns()
        await during()
        ended = clock.now_ns()
    finally:
        await load.stop()
        await gateway.close_run()
        await load.collect(lab.project.runs)
    await asyncio.to_thread(keep_living_logs, lab, folder)
    kept = await asyncio.to_thread(written, lab, run)
    facts = RunFacts(
        run=run,
        project=lab.project.name,
        command=Command.LOAD,
        from_version=it.version,
        to_version=it.version,
        started_ns=began,
        ended_ns=ended,
        rollout=Outcome.NONE,
        min_requests=it.min_requests,
        clock_error_ns=clock.error_ns,
        executions=kept.executions,
        parcels=kept.parcels,
        stored=kept.stored,
    )
    return judge(facts, *read_ledgers(folder))
