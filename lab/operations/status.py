"""`lab status`: the fleet as the engine, the proxy, the database and the journal see it."""

import asyncio
from collections.abc import Mapping, Sequence

from lab import migrate
from lab.assembly import Lab
from lab.docker_host import Static
from lab.errors import LabError
from lab.folds import History, history_of
from lab.lease import is_gone
from lab.model import Replica
from lab.observation import merge
from lab.operations.unfinished import Stage, Unfinished, is_a_load, unfinished_of
from lab.ports import Event, Owner, Routing
from lab.transitions import STILL
from lab.view import FleetView, RolloutView, hold_note, mix_words, replica_view

GOES_ON = "lab resume goes on, lab rollback goes back, lab abort gives it up"


async def fleet_view(lab: Lab) -> FleetView:
    """LabError `lab-not-up` if there is no lab."""
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway:
        routing = await gateway.routing()
    replicas = merge(await lab.engine.replicas(), routing.routes)
    events = lab.journal.events()
    history, it = history_of(events), unfinished_of(events)
    current = history.revisions.get(history.current or 0)
    ready = sum(r.available for r in replicas)
    owner = _at_work(routing)
    notes = [*_rollout_notes(it, owner), *_fleet_notes(history, replicas, ready), *_data_notes(it, events)]
    notes += static_notes(lab.manifest.around.statics, await asyncio.to_thread(lab.host.static))
    notes += by_hand_notes(history, replicas, strangers=sorted(lab.host.strangers(lab.manifest.service)))
    if held := hold_note(routing.hold):
        notes.append(held)
    if owner and not (it and it.pid == owner.pid):
        notes.append(f"being changed by `{owner.command}` (pid {owner.pid})")
    return FleetView(
        project=lab.project.name,
        phase=str(it.state.phase) if it and history.running else "idle",
        version=current.version if current else None,
        replicas_wanted=history.replicas,
        ready=ready,
        schema_phase=await asyncio.to_thread(schema_phase, lab),
        url=f"http://127.0.0.1:{lab.port}",
        replicas=tuple(replica_view(r, routing.now_ns) for r in replicas),
        notes=tuple(notes),
        rollout=_rollout(it, owner),
    )


def static_notes(wanted: Sequence[str], static: Mapping[str, Static]) -> list[str]:
    """The services beside the fleet that do not run, and should."""
    gone = [name for name in wanted if not (name in static and (static[name].running or static[name].done))]
    return [f"{name} does not run: lab up starts it again" for name in gone]


def _at_work(routing: Routing) -> Owner | None:
    lease = routing.lease
    return None if lease is None or is_gone(lease.owner) else lease.owner


def _rollout(it: Unfinished | None, owner: Owner | None) -> RolloutView | None:
    if it is None:
        return None
    runs = owner is not None and it.stage is not Stage.PAUSED
    return RolloutView(
        run=it.run,
        kind=it.kind,
        to=it.to,
        stage=it.stage,
        reason=it.state.reason,
        pid=owner.pid if owner and runs else None,
    )


def _rollout_notes(it: Unfinished | None, owner: Owner | None) -> list[str]:
    if it is None:
        return []
    if is_a_load(it):
        unjudged = "has no verdict yet: lab resume gives it"
        return [f"the load of {it.run} {f'is offered by `{owner.command}` (pid {owner.pid})' if owner else unjudged}"]
    name = f"the rollout {it.run} to {it.to}"
    if owner is not None:
        by = f"run by `{owner.command}` (pid {owner.pid})"
        if it.stage is Stage.ROLLING and it.state.phase in STILL:
            return [f"{name} is paused, {by}: {GOES_ON}"]
        ways = ": lab pause, lab rollback or lab abort are words to it" if it.stage is Stage.ROLLING else ""
        return [f"{name} is {by}{ways}"]
    if it.stage is Stage.UNJUDGED:
        return [f"{name} has ended, and its verdict is not given: lab resume gives it"]
    if it.kind in {"up", "scale"}:
        return [f"{name} has not ended, and nobody runs it: lab up goes on"]
    if it.stage is not Stage.PAUSED:
        return [f"{name} has not ended, and its controller is gone: {GOES_ON}"]
    why = f" ({it.state.reason})" if it.state.phase in STILL and it.state.reason else ""
    return [f"{name} {'is paused' if it.state.phase in STILL else 'was interrupted'}{why}: {GOES_ON}"]


def _data_notes(it: Unfinished | None, events: Sequence[Event]) -> list[str]:
    """What the versions of the rollout under way have done to each other's data, each with its newest count."""
    seen = [e.data for e in events if it and e.run == it.run and e.type == "mix-seen"]
    newest = {(d["fault"], d["writer"], d["reader"]): d for d in seen}
    return [f"data {d['fault']}: {mix_words(d)}" for d in newest.values()]


def _fleet_notes(history: History, replicas: Sequence[Replica], ready: int) -> list[str]:
    if history.running:
        return []
    others = sorted({r.version for r in replicas if r.alive and r.revision != history.current})
    if others and history.current is not None:
        now = history.revisions[history.current].version
        return [f"{', '.join(others)} runs beside {now}: lab up makes it {now} again, lab roll goes to another"]
    return [f"{ready}/{history.replicas} ready: lab up repairs it"] if ready < history.replicas else []


def by_hand_notes(history: History, replicas: Sequence[Replica], *, strangers: Sequence[str]) -> list[str]:
    """What somebody did with Compose alone, and what its `up -d` would do now."""
    alive = [r for r in replicas if r.alive]
    others = [r for r in alive if r.revision != history.current]
    notes = []
    if strangers:
        many = f"{strangers[0]} was" if len(strangers) == 1 else f"{', '.join(strangers)} were"
        notes.append(f"{many} made by Compose, not by the lab, and gets no request: lab up removes it")
    if others and history.running and history.current is not None:
        now = history.revisions[history.current].version
        notes.append(
            f"Compose knows {now} alone: `up -d` by hand would end {len(others)} of {len(alive)} replicas at once"
        )
    return notes


def schema_phase(lab: Lab) -> str | None:
    """The database's phase; None where there is no plan or no database to ask."""
    if lab.plan is None:
        return None
    try:
        return migrate.current_phase(lab.database())
    except LabError:
        return None
