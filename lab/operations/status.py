"""`lab status`: the fleet as the engine, the proxy, the database and the journal see it."""

import asyncio

from lab import migrate
from lab.assembly import Lab
from lab.errors import LabError
from lab.lease import is_gone
from lab.observation import merge
from lab.view import FleetView, hold_note, replica_view


async def fleet_view(lab: Lab) -> FleetView:
    """LabError `lab-not-up` if there is no lab."""
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway:
        routing = await gateway.routing()
    replicas = merge(await lab.engine.replicas(), routing.routes)
    history = lab.history()
    current = history.revisions.get(history.current or 0)
    ready = sum(r.available for r in replicas)
    notes = []
    if history.running:
        notes.append(f"the rollout {history.running} has not ended: the same lab roll goes on, lab rollback goes back")
    elif ready < history.replicas:
        notes.append(f"{ready}/{history.replicas} ready: lab up repairs it")
    if held := hold_note(routing.hold):
        notes.append(held)
    if routing.lease and not is_gone(routing.lease.owner):
        notes.append(f"being changed by `{routing.lease.owner.command}` (pid {routing.lease.owner.pid})")
    return FleetView(
        project=lab.project.name,
        phase="rolling" if history.running else "idle",
        version=current.version if current else None,
        replicas_wanted=history.replicas,
        ready=ready,
        schema_phase=await asyncio.to_thread(schema_phase, lab),
        url=f"http://127.0.0.1:{lab.port}",
        replicas=tuple(replica_view(r, routing.now_ns) for r in replicas),
        notes=tuple(notes),
    )


def schema_phase(lab: Lab) -> str | None:
    """The database's phase; None where there is no plan or no database to ask."""
    if lab.plan is None:
        return None
    try:
        return migrate.current_phase(lab.database())
    except LabError:
        return None
