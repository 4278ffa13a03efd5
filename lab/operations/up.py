"""`lab up`: converge to a lab that runs, and say what was done."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from lab import images, migrate
from lab.assembly import Lab
from lab.chosen import chosen_of, remember, remember_owner
from lab.clock import measure_clock
from lab.errors import Exit, LabError, UsageError
from lab.folds import History
from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.manifest import Version
from lab.model import Ending, Revision, RolloutSpec, SchemaMode
from lab.observation import merge
from lab.operations.heartbeat import Told
from lab.operations.revisions import ensure_revision, refuse_late_check
from lab.operations.rollouts import Attempt, Listener, run_rollout
from lab.operations.statics import refuse_taken_port, start_static
from lab.operations.versions import check_version, refuse_missing_images, version_asked
from lab.project import ensure_port

PROXY_SECONDS = 30.0
PORTS = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class UpRequest:
    replicas: int | None = None
    version: str | None = None
    schema: str | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpResult:
    """`changed` False: it was all there."""

    changed: bool
    replicas: int
    version: str
    schema: str | None
    url: str


async def up(lab: Lab, request: UpRequest, *, told: Told, listen: Listener) -> UpResult:
    """Start what is missing, repair what is broken, touch nothing that is right."""
    check(lab, request)
    made = await asyncio.to_thread(lab.ensure_images, lambda line: told("images", line, 0.0))
    await asyncio.to_thread(refuse_missing_images, lab)
    remember(lab.project, lab.chosen)
    remember_owner(lab.project, lab.owner)
    changed = await asyncio.to_thread(start_static, lab, made, told)
    async with lab.gateway() as gateway:
        await _await_proxy(gateway)
        async with held_lease(gateway, lab.project.home):
            history = lab.history()
            _refuse_unfinished(history)
            changed = await asyncio.to_thread(_remove_strangers, lab, told) or changed
            schema = await asyncio.to_thread(_schema, lab, request, history, told)
            revision = await asyncio.to_thread(_revision, lab, history, request, made)
            replicas = request.replicas or (history.replicas if history.current else lab.manifest.replicas)
            began = time.monotonic()
            moved = await converge(lab, gateway, revision, replicas, kind="up", listen=listen)
            if moved:
                told("fleet", f"{replicas}/{replicas} ready  {revision.version}", time.monotonic() - began)
    return UpResult(
        changed=changed or moved,
        replicas=replicas,
        version=revision.version,
        schema=schema,
        url=f"http://127.0.0.1:{lab.port}",
    )


def check(lab: Lab, request: UpRequest) -> None:
    """Refuse what cannot be meant before anything is touched."""
    if request.replicas is not None and request.replicas < 1:
        raise UsageError(id="replicas", what="a fleet has at least one replica", fix="--replicas 1 or more")
    check_version(lab, request.version, None)
    if request.schema and lab.plan is None:
        what = f"{lab.manifest.path.name} has no plan of a schema, so there is no phase {request.schema}"
        raise UsageError(id="no-plan", what=what, fix="leave --schema away")
    if request.schema and lab.plan:
        lab.plan.phase(request.schema)
    if request.port is not None and not 0 < request.port < PORTS:
        raise UsageError(id="port", what=f"{request.port} is no port", fix="--port 1 to 65535")
    lab.refuse_another_checkout()
    _refuse_another_manifest(lab)
    _choose_port(lab, request.port)
    history = lab.history()
    now = history.revisions.get(history.current or 0)
    if now and request.version and request.version != now.version:
        raise LabError(
            id="version-differs",
            what=f"the fleet runs {now.version}, not {request.version}",
            fix=f"lab roll {request.version}",
        )
    _refuse_phase(lab, request, now)


def _refuse_another_manifest(lab: Lab) -> None:
    """A project is what it was started as, until it is taken down."""
    now = chosen_of(lab.project)
    was, wanted = (now.path, now.said.service), (lab.chosen.path, lab.chosen.said.service)
    if was == wanted or not (lab.host.static() or lab.engine.replicas_now()):
        return
    raise LabError(
        id="manifest-differs",
        what=f"the lab {lab.project.name!r} was started with {_told(*was)}, not with {_told(*wanted)}",
        fix="lab down, then lab up -f FILE; or another lab beside it: --project NAME",
    )


def _told(path: Path, service: str | None) -> str:
    return f"{path} --service {service}" if service else str(path)


def _refuse_phase(lab: Lab, request: UpRequest, now: Revision | None) -> None:
    """No fleet is begun on a phase that does not serve it, and none is taken to one on which it can never run."""
    if request.schema is None or lab.plan is None:
        return
    serves_as = now.serves_as if now else _new_version(lab, request).serves_as
    ask = migrate.Ask(target=serves_as, mode=SchemaMode.AS_IS, anyway=now is not None)
    try:
        migrate.way_of(lab.plan, request.schema, {}, ask)
    except LabError as error:
        fix = "another --schema, or a --version that it serves: lab migrate status"
        raise LabError(id=error.id, what=error.what, where=error.where, fix=fix) from error


def _new_version(lab: Lab, request: UpRequest) -> Version:
    return version_asked(lab, request.version, None)


def _refuse_unfinished(history: History) -> None:
    """A roll that has not ended is the roll's to end; database and proxy, which it needs, run by now."""
    now = history.revisions.get(history.current or 0)
    if now is None or history.rolling_to is None or history.kind not in {"roll", "rollback"}:
        return
    unfinished = history.revisions[history.rolling_to].version
    raise LabError(
        id="unfinished",
        what=f"database and proxy run, but the rollout {history.running} to {unfinished} has not ended",
        fix=f"lab roll {unfinished} goes on with it, lab rollback goes back to {now.version}",
    )


def _choose_port(lab: Lab, port: int | None) -> None:
    if port is None:
        return
    proxy = lab.host.static().get("proxy")
    if proxy and proxy.running and port != lab.port:
        raise LabError(
            id="port-differs",
            what=f"the lab {lab.project.name!r} is up on port {lab.port}, not {port}",
            fix=f"lab down, then lab up --port {port}",
        )
    if not (proxy and proxy.running):
        refuse_taken_port(lab, port, other=f"lab up --port {port + 1}")  # before it is remembered
        ensure_port(lab.project, port)
        vars(lab).pop("port", None)  # it may have been read before


def _remove_strangers(lab: Lab, told: Told) -> bool:
    """Whoever Compose made of the service by hand gets no request, and is in the way of its next container."""
    strangers = lab.host.strangers(lab.manifest.service)
    for name, container in strangers.items():
        lab.host.remove(container)
        told("removed", f"{name}, which Compose had made by hand", 0.0)
    return bool(strangers)


async def _await_proxy(gateway: ProxyGateway) -> None:
    deadline = time.monotonic() + PROXY_SECONDS
    while not await gateway.is_up():
        if time.monotonic() > deadline:
            raise LabError(
                id="proxy-gone",
                what=f"the proxy is not up after {PROXY_SECONDS:g} s",
                fix="lab logs proxy, then lab down",
            )
        await asyncio.sleep(0.05)


def _schema(lab: Lab, request: UpRequest, history: History, told: Told) -> str | None:
    if lab.plan is None:
        return None
    database, began = lab.database(), time.monotonic()
    now = migrate.current_phase(database)
    wanted = request.schema or _phase_for(lab, lab.plan, request, history, now)
    if wanted != now:
        migrate.go_to(database, lab.plan, wanted)
        told("schema", wanted, time.monotonic() - began)
    return wanted


def _phase_for(lab: Lab, plan: migrate.ChangePlan, request: UpRequest, history: History, now: str) -> str:
    """As it is; for a fleet that is begun, the first phase from there that serves it."""
    if history.current is not None:
        return plan.phases[0].name if now == migrate.NOTHING else now
    ask = migrate.Ask(target=_new_version(lab, request).serves_as)
    steps = migrate.way_of(plan, now, migrate.gone_versions(lab.database()), ask).steps
    return steps[-1].name if steps else now


def _revision(lab: Lab, history: History, request: UpRequest, made: images.Images) -> Revision:
    if history.current is not None:
        return history.revisions[history.current]
    replicas = request.replicas or lab.manifest.replicas
    return ensure_revision(lab, _new_version(lab, request), made, replicas=replicas)


async def converge(
    lab: Lab, gateway: ProxyGateway, revision: Revision, replicas: int, *, kind: str, listen: Listener
) -> bool:
    """So many replicas of that revision, and nothing beside them. Return whether there was something to do."""
    if await is_whole(lab, gateway, revision, replicas) and lab.history().current == revision.number:
        return False
    manifest = lab.manifest
    refuse_late_check(revision, manifest.ready_timeout)
    clock = await measure_clock(gateway)
    spec = RolloutSpec(
        target=revision.number,
        replicas=replicas,
        surge=1,
        unavailable=0,
        ready_timeout=manifest.ready_timeout,
        drain_timeout=manifest.drain_timeout,
    )
    attempt = Attempt(run=f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}", kind=kind, spec=spec)
    ended = await run_rollout(lab, gateway, clock, attempt, listen=listen, archive=lambda _name, _log: None)
    if ended.ending is not Ending.DONE:
        exit_code = Exit.ENVIRONMENT if ended.ending is Ending.PAUSED_BY_ENVIRONMENT else Exit.NO
        log, up_to = "\n".join(ended.log), "up" if kind == "up" else f"to {replicas} replicas"
        raise LabError(
            id="not-up",
            what=f"the fleet did not come {up_to}: {ended.reason or ended.ending}",
            where="\n".join(part for part in (ended.where, ended.detail, log) if part),
            fix="lab status, lab logs; then lab up, which goes on with it",
            exit_code=exit_code,
        )
    return True


async def is_whole(lab: Lab, gateway: ProxyGateway, revision: Revision, replicas: int) -> bool:
    """Every replica runs that revision and is ready, and there is none beside them."""
    fleet = merge(await lab.engine.replicas(), (await gateway.routing()).routes)
    right = [r for r in fleet if r.revision == revision.number and r.available]
    return len(right) == len(fleet) == replicas
