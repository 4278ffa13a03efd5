"""PURE: from what a person asks for to a rollout's spec: the same for `lab roll`, `lab plan` and `lab simulate`."""

from dataclasses import dataclass, field

from lab.errors import LabError, UsageError
from lab.gates import Gate, Measure
from lab.manifest import Manifest
from lab.model import OnFail, Order, RolloutSpec, Strategy
from lab.planner.budgets import amount, batch_of, budgets_of
from lab.planner.ladder import Finding, timing
from lab.planner.presets import preset
from lab.ports import Readiness

WHOLE = 100
MOST_REPLICAS = 100_000
"""What no fleet of this size can be given can be given to no smaller one (held by a test)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a rollout is to go. None: the manifest's value, or the default."""

    order: Order | None = None
    batch: str | None = None
    max_surge: str | None = None
    max_unavailable: str | None = None
    like: str | None = None
    on_fail: OnFail = OnFail.ROLLBACK
    ready_timeout: float | None = None
    drain_timeout: float | None = None
    progress_timeout: float | None = None
    hold_timeout: float = 0.0
    bake: float = 0.0
    wave_bake: float = 0.0
    retries: int = 0
    max_failure_ratio: str | None = None
    gates: tuple[str, ...] = field(default=())
    gate_samples: int = 50


def spec_of(shape: Shape, manifest: Manifest, *, replicas: int, target: int, back_to: int | None) -> RolloutSpec:
    """UsageError for what cannot be meant, alone or together."""
    strategy, surge, unavailable, ratio = _budgets(shape, manifest, replicas)
    return RolloutSpec(
        target=target,
        back_to=back_to,
        replicas=replicas,
        service=manifest.service,
        strategy=strategy,
        surge=surge,
        unavailable=unavailable,
        on_fail=shape.on_fail,
        ready_timeout=manifest.ready_timeout if shape.ready_timeout is None else shape.ready_timeout,
        drain_timeout=manifest.drain_timeout if shape.drain_timeout is None else shape.drain_timeout,
        progress_timeout=600.0 if shape.progress_timeout is None else shape.progress_timeout,
        hold_timeout=shape.hold_timeout,
        bake=shape.bake,
        wave_bake=shape.wave_bake,
        retries=shape.retries,
        max_failure_ratio=_ratio(shape.max_failure_ratio, "--max-failure-ratio") if shape.max_failure_ratio else ratio,
        gates=tuple(_gate(text, shape.gate_samples) for text in shape.gates),
    )


def refuse_shape(shape: Shape, manifest: Manifest) -> None:
    """Refuse what cannot be meant whatever the size of the fleet: no engine need be asked for that."""
    spec = spec_of(shape, manifest, replicas=MOST_REPLICAS, target=0, back_to=None)
    refuse_timing(spec, manifest.readiness)


def refuse_timing(spec: RolloutSpec, readiness: Readiness) -> tuple[Finding, ...]:
    """What is to be said of its times. LabError `plan-refused` for those that cannot be meant together."""
    findings = timing(spec, readiness)
    refusals = [finding.what for finding in findings if finding.refuses]
    if refusals:
        raise LabError(id="plan-refused", what="; ".join(refusals), fix="lengthen the one, or shorten the other")
    return findings


def _budgets(shape: Shape, manifest: Manifest, replicas: int) -> tuple[Strategy, int, int, float]:
    by_max = shape.max_surge is not None or shape.max_unavailable is not None
    by_batch = shape.order is not None or shape.batch is not None
    if sum((shape.like is not None, by_max, by_batch)) > 1:
        raise UsageError(
            id="budgets",
            what="--like, --max-surge with --max-unavailable, and --order with --batch are three ways to say one thing",
            fix="use one of them",
        )
    if shape.like is not None:
        like = preset(shape.like, replicas)
        return like.strategy, like.surge, like.unavailable, like.failure_ratio(replicas)
    if by_max:
        surge = amount(shape.max_surge or "0", "--max-surge")
        unavailable = amount(shape.max_unavailable or "0", "--max-unavailable")
        return (Strategy.ROLLING, *budgets_of(replicas, surge, unavailable), 0.0)
    first = (shape.order or manifest.order) is Order.START_FIRST
    many = batch_of(replicas, amount(shape.batch or str(manifest.batch), "--batch"), start_first=first)
    return Strategy.WAVES, many if first else 0, 0 if first else many, 0.0


def _gate(text: str, minimum: int) -> Gate:
    """`error-ratio=5%`."""
    name, _, limit = text.partition("=")
    if name not in set(Measure):
        raise UsageError(id="gate", what=f"--gate {text!r}: there is no such gate", fix=f"one of: {', '.join(Measure)}")
    measure = Measure(name)
    return Gate(
        measure=measure, limit=_ratio(limit, "--gate"), minimum=minimum if measure is Measure.ERROR_RATIO else 1
    )


def _ratio(text: str, option: str) -> float:
    number = text.removesuffix("%")
    try:
        value = float(number) / (WHOLE if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(id="ratio", what=f"{option}: {text!r} is no share", fix="5% or 0.05")
    return value
