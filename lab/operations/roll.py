"""`lab roll` and `lab rollback`: everything that can refuse one, before anything is touched; then the run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from lab import images, migrate
from lab.assembly import Lab, not_up
from lab.errors import LabError, UsageError
from lab.folds import History
from lab.gates import FELT, Measure
from lab.lease import held_lease
from lab.model import Revision, RolloutSpec
from lab.operations.load_check import refuse_load
from lab.operations.request import RollRequest
from lab.operations.revisions import ensure_revision, refuse_late_check
from lab.operations.rollouts import Listener
from lab.operations.run import Prepared, Run, RunResult, new_course
from lab.operations.shape import refuse_shape, refuse_timing, spec_of
from lab.operations.targets import rollback_target
from lab.operations.up import is_whole
from lab.operations.versions import check_version, version_asked
from lab.proof import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class RollResult:
    """`run` None: there was nothing to do."""

    version: str
    run: RunResult | None


async def roll(
    lab: Lab, request: RollRequest, *, listen: Listener, note: Callable[[str], None] = lambda _: None
) -> RollResult:
    """Take the fleet to a version under traffic, and judge what it cost. LabError for what must not be begun."""
    check(lab, request)
    lab.refuse_another_checkout()
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home):
        ready = await asyncio.to_thread(_prepare, lab, request)
        history = lab.history()
        same = ready.target.number == history.current and not history.running
        if same and await is_whole(lab, gateway, ready.target, ready.spec.replicas):
            return RollResult(version=ready.target.version, run=None)
        for text in _notes(lab, request, ready.spec):
            note(text)
        run = await Run(lab, gateway, new_course(lab, request, ready), listen).go()
        return RollResult(version=ready.target.version, run=run)


def check(lab: Lab, request: RollRequest) -> None:
    """Refuse what cannot be meant, before any engine is asked."""
    check_version(lab, request.version, request.image)
    spec = refuse_shape(request.shape, lab.manifest, rollback=request.kind is Command.ROLLBACK)
    refuse_timing(spec, lab.manifest.readiness)
    if request.load:
        refuse_load(request.choice, lab.manifest.load.choice)
        return
    felt = [gate.measure for gate in spec.gates if gate.measure in FELT]
    if felt:
        what = f"the gate {felt[0]} is judged by the lab's own load, and there is none"
        raise UsageError(id="gate", what=what, fix="leave --no-load out, or --gate none")


def _prepare(lab: Lab, request: RollRequest) -> Prepared:
    """Everything that can refuse the roll, before anything is touched."""
    history = lab.history()
    if history.current is None:
        raise not_up(lab.project, "no fleet has come up")
    source = history.revisions[history.current]
    spec = _spec(lab, request, history.replicas)
    _refuse_by_schema(lab, request, source)
    made = lab.ensure_images()
    target = _target(lab, request, history, source, made)
    refuse_late_check(target, spec.ready_timeout)
    back_to = None if request.kind is Command.ROLLBACK or target.number == source.number else source.number
    spec = replace(spec, target=target.number, back_to=back_to)
    if history.running and history.rolling_to and target.number == source.number:
        source = history.revisions[history.rolling_to]  # what has to leave again
    steps, schema = schema_steps(lab, request, source, target)
    return Prepared(
        source=source,
        target=target,
        spec=spec,
        steps=steps,
        schema=schema,
        images=made,
    )


def _refuse_by_schema(lab: Lab, request: RollRequest, source: Revision) -> None:
    """Before an image is built, a container made for its shape, and a revision recorded of what may not run."""
    if request.version is not None:
        version = lab.manifest.version(request.version)
        schema_steps(lab, request, source, replace(source, version=version.name, serves_as=version.serves_as))


def _target(lab: Lab, request: RollRequest, history: History, source: Revision, made: images.Images) -> Revision:
    if request.to is not None:
        return history.revisions[rollback_target(history, request.to)]
    if request.version is None and request.image is None:
        back = history.current if history.running else history.previous
        if back is None:
            why = ": the schema was contracted, and no longer serves it" if history.given_up else ""
            what = f"there is no earlier revision to go back to{why}"
            raise LabError(id="no-previous", what=what, fix="lab roll VERSION")
        return history.revisions[back]
    version = version_asked(lab, request.version, request.image)
    target = ensure_revision(lab, version, made, replicas=history.replicas)
    if history.running and history.rolling_to not in {target.number, None} and target.number != source.number:
        unfinished = history.revisions[history.rolling_to or 0].version
        raise LabError(
            id="unfinished",
            what=f"the rollout {history.running} to {unfinished} has not ended",
            fix=f"lab roll {unfinished} goes on with it, lab rollback goes back to {source.version}",
        )
    return target


def _spec(lab: Lab, request: RollRequest, replicas: int) -> RolloutSpec:
    """To no revision yet. LabError `plan-refused` for times that cannot be meant together."""
    rollback = request.kind is Command.ROLLBACK
    spec = spec_of(request.shape, lab.manifest, replicas=replicas, target=0, back_to=None, rollback=rollback)
    refuse_timing(spec, lab.manifest.readiness)
    return replace(spec, wait_for_drain=not request.skip_drain)


def _notes(lab: Lab, request: RollRequest, spec: RolloutSpec) -> tuple[str, ...]:
    findings = refuse_timing(spec, lab.manifest.readiness)
    said = tuple(finding.what for finding in findings if not finding.usual)
    counting = [gate.measure for gate in spec.gates if gate.measure is Measure.ERROR_RATIO]
    if counting and not request.load:
        return (*said, f"the gate {counting[0]} needs requests: with no load of the lab's, others have to come")
    return said


def schema_steps(
    lab: Lab, request: RollRequest, source: Revision, target: Revision
) -> tuple[tuple[migrate.Phase, ...], str | None]:
    """The steps that the rollout takes first, and the phase that it finds. LabError for what the schema refuses."""
    if lab.plan is None:
        return (), None
    now = migrate.current_phase(lab.database())
    ask = migrate.Ask(
        source=source.serves_as,
        target=target.serves_as,
        mode=request.schema,
        anyway=request.anyway,
        leaving=request.kind is Command.ROLLBACK,
    )
    return migrate.way_of(lab.plan, now, migrate.gone_versions(lab.database()), ask).steps, now
