"""The schema's steps that could take something away: what proves that they may, and the step itself."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab import migrate
from lab.assembly import Lab
from lab.errors import LabError, UsageError
from lab.folds import History
from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.migrate.guard import Evidence, Proof, Standing, Target, proofs, refusal
from lab.migrate.leases import holders, strangers
from lab.migrate.runner import wrong_data
from lab.migrate.state import Journal
from lab.model import Container
from lab.ports import Event, Route, Seen

Told = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """`force`: why the guard's word is not heeded; it is recorded. `give_up`: versions nobody will go back to."""

    give_up: tuple[str, ...] = ()
    force: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was done, and what the guard had found before it."""

    phase: str
    proofs: tuple[Proof, ...]
    strangers: tuple[str, ...] = ()


def go_up(lab: Lab, goal: str, told: Told) -> None:
    """Every step up to that phase, each in the journal: a run beside it tells by them which phase its requests met."""
    plan, database = plan_of(lab), lab.database()
    now = migrate.current_phase(database)
    for phase in plan.phases[0 if now == migrate.NOTHING else plan.index(now) + 1 : plan.index(goal) + 1]:
        with _recorded(lab, phase.name):
            migrate.step_up(database, plan, phase, told)


async def contract(lab: Lab, removal: Removal, told: Told) -> Taken:
    """Take the next phase, which takes versions away. LabError `schema-guard` names who could still run."""
    plan = plan_of(lab)
    now = migrate.current_phase(lab.database())
    goal = plan.next_of(now)
    if goal is None or not plan.contracts(goal):
        if now != migrate.NOTHING and plan.contracts(plan.phase(now)):
            return Taken(phase=now, proofs=())
        raise LabError(
            id="schema-order",
            what=f"the schema is {now}; contracting is not the next step",
            fix=f"lab migrate {plan.command_to(goal.name)}" if goal else "lab migrate status",
        )

    def step(leave: migrate.Leave) -> str:
        with _recorded(lab, goal.name):
            migrate.step_up(lab.database(), plan, goal, told, leave=leave)
        return goal.name

    return await _removing(lab, goal.name, removal, step, told)


async def step_back(lab: Lab, removal: Removal, told: Told) -> Taken:
    """Take the last step back. LabError `schema-guard` if somebody runs who would miss what it made."""
    plan = plan_of(lab)
    now = migrate.current_phase(lab.database())
    if now == migrate.NOTHING or plan.index(now) == 0:
        raise LabError(id="no-way-down", what=f"the schema is {now}: there is nothing to go back to")
    back = plan.phases[plan.index(now) - 1].name

    def step(leave: migrate.Leave) -> str:
        with _recorded(lab, back):
            return migrate.step_down(lab.database(), plan, told, leave=leave)

    return await _removing(lab, back, removal, step, told)


async def _removing(lab: Lab, goal: str, removal: Removal, step: Callable[[migrate.Leave], str], told: Told) -> Taken:
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home):
        # the lease keeps every rollout from beginning until the step is done
        await asyncio.to_thread(migrate.tidy, lab.database(), plan_of(lab))
        evidence, others = await gather(lab, gateway, goal, removal)
        refused = refusal(evidence)
        if refused and removal.force is None:
            raise refused
        leave = migrate.Leave(force=removal.force, begun=lambda: _record(lab, goal, evidence, removal))
        reached = await _to_its_end(asyncio.to_thread(step, leave), told)
    return Taken(phase=reached, proofs=proofs(evidence), strangers=others)


async def _to_its_end(step: Coroutine[Any, Any, str], told: Told) -> str:
    """Interrupted, it is not left: the lease, which keeps rollouts away, is held for as long as it works."""
    work = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        told("interrupted", "the step under way is ended first; a kill would be no harm either")
        await asyncio.wait([work])
        raise


async def gather(lab: Lab, gateway: ProxyGateway, goal: str, removal: Removal) -> tuple[Evidence, tuple[str, ...]]:
    """What the engine, the proxy, the journal and the database say of the versions that the step takes away."""
    history = lab.history()
    seen = await lab.engine.replicas()
    routes = (await gateway.routing()).routes
    events = await asyncio.to_thread(lab.journal.events)
    return await asyncio.to_thread(_evidence, lab, goal, removal, (history, seen, routes, events))


def _evidence(
    lab: Lab,
    goal: str,
    removal: Removal,
    known: tuple[History, tuple[Seen, ...], tuple[Route, ...], Sequence[Event]],
) -> tuple[Evidence, tuple[str, ...]]:
    history, seen, routes, events = known
    plan, database = plan_of(lab), lab.database()
    _refuse_unknown(removal, history, plan)
    now = migrate.current_phase(database)
    lost, stay = plan.lost_by(now, goal), plan.phase(goal).serves
    up = plan.index(goal) > plan.index(now)
    with database.session("lab migrate: guard") as session:
        begun = Journal(session, plan).step(goal, "up") if up else None
        whole = up and not (begun and (begun.done or begun.trying))
        since = session.run(
            "select extract(epoch from clock_timestamp() - at) from lab_schema order by id desc limit 1"
        )
        evidence = Evidence(
            goal=goal,
            versions=lost,
            leases=tuple(h for h in holders(session, plan.versions) if h.version not in stay),
            containers=containers_of(history, seen, lost),
            routes=routes_of(history, seen, routes, lost),
            targets=targets_of(history, lost, removal.give_up) if up else _unfinished(history, lost),
            wrong=wrong_data(session, plan, now) if whole else {},
            soak=plan.phase(goal).soak if up else 0.0,
            quiet=quiet_of(history, events, lost, since=float(since[0][0]), now=datetime.now(UTC)),
        )
        return evidence, strangers(session)


def containers_of(history: History, seen: Iterable[Seen], versions: frozenset[str]) -> tuple[Standing, ...]:
    return tuple(
        Standing(replica=s.name, version=s.version, state=s.container)
        for s in seen
        if s.container is not Container.EXITED and _serves_as(history, s.revision, s.version) in versions
    )


def routes_of(
    history: History, seen: Iterable[Seen], routes: Iterable[Route], versions: frozenset[str]
) -> tuple[Standing, ...]:
    of = {s.name: s.revision for s in seen}
    return tuple(
        Standing(replica=r.name, version=r.version, state=f"{r.place}, {r.in_flight} in flight")
        for r in routes
        if _serves_as(history, of.get(r.name), r.version) in versions
    )


def targets_of(history: History, versions: frozenset[str], given_up: Sequence[str]) -> tuple[Target, ...]:
    """What a rollback could lead to, without what is given up. A rollout that has not ended can not be given up."""
    fixed = _unfinished(history, versions) or _current(history, versions)
    named = {target.revision for target in fixed}
    return fixed + tuple(
        Target(
            revision=r.number, version=r.version, serves_as=r.serves_as, why="a rollback target", may_be_given_up=True
        )
        for r in (history.revisions[number] for number in history.targets if number not in named)
        if r.serves_as in versions and not {r.version, r.serves_as} & set(given_up)
    )


def _current(history: History, versions: frozenset[str]) -> tuple[Target, ...]:
    """What `lab up` would start again, although none of it runs now."""
    r = history.revisions.get(history.current or 0)
    if r is None or r.serves_as not in versions:
        return ()
    return (Target(revision=r.number, version=r.version, serves_as=r.serves_as, why="the fleet's own"),)


def _unfinished(history: History, versions: frozenset[str]) -> tuple[Target, ...]:
    if not history.running:
        return ()
    numbers = dict.fromkeys(number for number in (history.rolling_to, history.current) if number)
    return tuple(
        Target(revision=r.number, version=r.version, serves_as=r.serves_as, why="its rollout has not ended")
        for r in (history.revisions[number] for number in numbers)
        if r.serves_as in versions
    )


def quiet_of(
    history: History, events: Iterable[Event], versions: frozenset[str], *, since: float, now: datetime
) -> float:
    """Seconds since anything was heard of a replica of these versions, and no longer than the phase is there."""
    names = {r.version for r in history.revisions.values() if r.serves_as in versions} | versions
    heard = [event.wall for event in events if "replica" in event.data and event.data.get("version") in names]
    if not heard:
        return since
    return max(0.0, min(since, (now - datetime.fromisoformat(max(heard))).total_seconds()))


def _serves_as(history: History, revision: int | None, version: str) -> str:
    found = history.revisions.get(revision or 0)
    named = next((r for r in history.revisions.values() if r.version == version), None)
    return found.serves_as if found else named.serves_as if named else version


def _refuse_unknown(removal: Removal, history: History, plan: migrate.ChangePlan) -> None:
    known = {name for r in history.revisions.values() for name in (r.version, r.serves_as)} | set(plan.versions)
    for version in removal.give_up:
        if version not in known:
            raise UsageError(id="unknown-version", what=f"--give-up {version}: there is no such version")


def _record(lab: Lab, goal: str, evidence: Evidence, removal: Removal) -> None:
    """While none of these versions can start, and before any SQL: a crash between the two gives up too much."""
    revisions = [r.number for r in lab.history().revisions.values() if r.serves_as in evidence.versions]
    forever = goal in {phase.name for phase in plan_of(lab).phases if plan_of(lab).contracts(phase)}
    data = {
        "phase": goal,
        "versions": sorted(evidence.versions),
        "revisions": sorted(revisions) if forever else [],
        "forced": removal.force,
    }
    lab.journal.append("versions-given-up", "", time.monotonic_ns(), data)


@contextmanager
def _recorded(lab: Lab, phase: str) -> Iterator[None]:
    """Of no run: the one that goes on meanwhile finds it by its time."""
    lab.journal.append("schema-step", "", time.monotonic_ns(), {"phase": phase, "what": "begins"})
    yield
    lab.journal.append("schema-step", "", time.monotonic_ns(), {"phase": phase, "what": "done"})


def plan_of(lab: Lab) -> migrate.ChangePlan:
    if lab.plan is None:
        raise LabError(
            id="no-schema-plan", what="the manifest names no schema plan", fix="x-lab.schema.plan in the manifest"
        )
    return lab.plan
