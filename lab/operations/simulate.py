"""`lab plan` and `lab simulate`: neither touches an engine. The planner rolls a fleet on virtual time.

Of a lab that is up the plan asks the database for its phase, and the schema's rule for its word.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab import migrate
from lab.assembly import Lab
from lab.errors import UsageError
from lab.folds import History, history_of
from lab.journal import SqliteJournal
from lab.manifest import Manifest
from lab.migrate import ChangePlan
from lab.migrate.contents import contents_of
from lab.model import Asked, SchemaMode
from lab.operations.shape import MOST_REPLICAS, Shape, refuse_rate, refuse_shape, refuse_timing, spec_of
from lab.operations.status import schema_phase
from lab.operations.versions import check_version
from lab.plan import Plan, SchemaStep, notices_of, waves_of, worst_seconds
from lab.report.simulation import Row
from lab.sim.faults import Fault
from lab.sim.run import NEW, OLD, USUAL, Simulated, Simulation, simulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be planned or simulated. `source` and `replicas` None: what the fleet is now, or the manifest's."""

    version: str
    shape: Shape
    source: str | None = None
    replicas: int | None = None
    rate: float | None = None
    seed: int = 1
    faults: tuple[Fault, ...] = ()
    asks: Mapping[float, Asked] = field(default_factory=dict)
    schema: SchemaMode = SchemaMode.AUTO
    anyway: bool = False


def simulation_of(lab: Lab, question: Question) -> Simulation:
    """UsageError or LabError for what cannot be meant."""
    manifest = lab.manifest
    check_version(lab, question.version, None)
    refuse_rate(question.rate)
    refuse_shape(question.shape, manifest)
    source, replicas = _now(lab, question, manifest)
    spec = spec_of(question.shape, manifest, replicas=replicas, target=NEW, back_to=OLD)
    return Simulation(
        source=source,
        target=question.version,
        spec=spec,
        seed=question.seed,
        rate=question.rate or manifest.load.choice.settled().rate,
        readiness=manifest.readiness,
        faults=question.faults,
        asks=question.asks,
    )


def _now(lab: Lab, question: Question, manifest: Manifest) -> tuple[str, int]:
    history = _history(lab)
    current = history.revisions.get(history.current or 0)
    others = [name for name in manifest.versions if name != question.version]
    source = question.source or (current.version if current else None)
    if source is None or source == question.version:
        source = question.source or (others[0] if others else question.version)
    replicas = question.replicas
    if replicas is None:
        replicas = history.replicas if current else manifest.replicas
    if not 1 <= replicas <= MOST_REPLICAS:
        raise UsageError(id="replicas", what=f"{replicas} replicas are no fleet", fix=f"1 to {MOST_REPLICAS}")
    return source, replicas


def _history(lab: Lab) -> History:
    """What the journal says, if there is one; none is made for a question."""
    if not lab.project.journal.exists():
        return History()
    journal = SqliteJournal(lab.project.journal)
    try:
        return history_of(journal.events())
    finally:
        journal.close()


def plan(lab: Lab, question: Question) -> Plan:
    """What the rollout would do. LabError for times that cannot be meant together, and for what the schema refuses."""
    refuse_timing(refuse_shape(question.shape, lab.manifest), lab.manifest.readiness)
    phase, way = _schema_way(lab, question)
    it = replace(simulation_of(lab, question), usual=replace(USUAL, jitter=0.0))
    findings = refuse_timing(it.spec, it.readiness)
    done = simulate(it)
    names = {OLD: it.source, NEW: it.target}
    waves = waves_of(done.journal.events(), it.spec, names)
    serve, phases = _schema(lab.plan, lab.manifest, it)
    return Plan(
        source=it.source,
        target=it.target,
        replicas=it.spec.replicas,
        strategy=it.spec.strategy,
        surge=it.spec.surge,
        unavailable=it.spec.unavailable,
        waves=waves,
        peak=done.peak,
        lowest=done.lowest,
        expected_seconds=done.seconds,
        worst_seconds=worst_seconds(it.spec, len(waves), lab.manifest.stop_grace),
        notices=notices_of(it.spec, it.readiness, waves, it.rate),
        findings=findings,
        schema_must_serve=serve,
        schema_phases=phases,
        schema_phase=phase,
        schema_steps=tuple(_schema_step(lab.plan, step) for step in way.steps) if lab.plan and way else (),
        schema_unserved=way.unserved if way else (),
        marks=("anyway",) if question.anyway else (),
    )


def _schema_way(lab: Lab, question: Question) -> tuple[str | None, migrate.Way | None]:
    """The database's phase, and the rule that `lab roll` obeys. Where no lab is up, as `lab up` would begin it."""
    manifest, change = lab.manifest, lab.plan
    target = manifest.version(question.version).serves_as
    if change is None:
        return None, None
    source, _ = _now(lab, question, manifest)
    served = manifest.versions[source].serves_as if source in manifest.versions else source
    ask = migrate.Ask(source=served, target=target, mode=question.schema, anyway=question.anyway)
    phase = schema_phase(lab) if _history(lab).current is not None else None
    gone = migrate.gone_versions(lab.database()) if phase is not None else {}
    return phase, migrate.way_of(change, change.phases[0].name if phase is None else phase, gone, ask)


def _schema_step(change: ChangePlan, phase: migrate.Phase) -> SchemaStep:
    return SchemaStep(
        phase=phase.name,
        command=f"lab migrate {change.command_to(phase.name)}",
        serves=tuple(sorted(phase.serves)),
        contents=tuple(contents_of(change, phase)),
    )


def _schema(plan: ChangePlan | None, manifest: Manifest, it: Simulation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    both = {manifest.version(name).serves_as for name in (it.source, it.target) if name in manifest.versions}
    if plan is None:
        return (), ()
    return tuple(sorted(both)), tuple(phase.name for phase in plan.phases if both <= phase.serves)


def compare(lab: Lab, question: Question, names: Sequence[str]) -> tuple[Row, ...]:
    """The same fleet, seed and faults under each way to decide."""
    plain = replace(question.shape, order=None, batch=None, max_surge=None, max_unavailable=None)
    return tuple(
        row_of(name, simulate(simulation_of(lab, replace(question, shape=replace(plain, like=name))))) for name in names
    )


def row_of(name: str, done: Simulated) -> Row:
    return Row(
        name=name,
        ending=done.ended.ending,
        reason=done.ended.reason,
        seconds=done.seconds,
        peak=done.peak,
        lowest=done.lowest,
        exposed=done.exposed,
        failed=done.failed,
        wasted=done.wasted,
        back_seconds=done.back,
        waited=done.waited,
    )
