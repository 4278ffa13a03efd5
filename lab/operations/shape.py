"""PURE: from what a person asks for to a rollout's spec: the same for `lab roll`, `lab plan` and `lab simulate`."""

from typing import TypeVar

from lab.errors import LabError, UsageError
from lab.gates import Gate, Measure
from lab.manifest import Manifest
from lab.model import OnFail, Order, RolloutSpec, Strategy
from lab.planner.budgets import amount, batch_of, budgets_of
from lab.planner.ladder import Finding, timing
from lab.planner.presets import preset
from lab.ports import Readiness
from lab.proof.comparison import LEAST_PAIRS
from lab.shape import WAYS, Shape, gate_of, share_of

__all__ = ["MOST_REPLICAS", "Shape", "refuse_rate", "refuse_shape", "refuse_timing", "spec_of"]

MOST_REPLICAS = 100_000
"""What no fleet of this size can be given can be given to no smaller one (held by a test)."""
MOST_RATE = 5000.0
"""More than one load of one process can offer on any machine: the run would only measure the load."""
LOOKS_NEED = 3
"""Who looks every second is deceived more often than who looks once. With twice as many instants as that one needs, 6
of 180 identical versions were stopped on synthetic noise; with three times as many, none (`make soak-latency`)."""
_MINIMUM = {Measure.UNREADY_RATIO: 1, Measure.LATENCY: LOOKS_NEED * LEAST_PAIRS}
"""Not of requests."""
T = TypeVar("T")


def spec_of(
    shape: Shape, manifest: Manifest, *, replicas: int, target: int, back_to: int | None, rollback: bool = False
) -> RolloutSpec:
    """UsageError for what cannot be meant, alone or together."""
    _refuse_two_ways(shape)
    it = shape.over(manifest.rollback if rollback else manifest.update)
    strategy, surge, unavailable, ratio = _budgets(it, replicas, asked=shape.batch is not None)
    return RolloutSpec(
        target=target,
        back_to=back_to,
        replicas=replicas,
        service=manifest.service,
        strategy=strategy,
        surge=surge,
        unavailable=unavailable,
        on_fail=_or(it.on_fail, OnFail.ROLLBACK),
        ready_timeout=_or(it.ready_timeout, manifest.ready_timeout),
        drain_timeout=_or(it.drain_timeout, manifest.drain_timeout),
        progress_timeout=_or(it.progress_timeout, 600.0),
        hold_timeout=_or(it.hold_timeout, 0.0),
        bake=_or(it.bake, 0.0),
        wave_bake=_or(it.wave_bake, 0.0),
        retries=_or(it.retries, 0),
        max_failure_ratio=ratio if it.max_failure_ratio is None else _ratio(it.max_failure_ratio),
        gates=tuple(_gate(text, _or(it.gate_samples, 50)) for text in it.gates or ()),
    )


def refuse_shape(shape: Shape, manifest: Manifest, *, rollback: bool = False) -> RolloutSpec:
    """Refuse what cannot be meant whatever the size of the fleet: no engine need be asked for that."""
    try:
        return spec_of(shape, manifest, replicas=MOST_REPLICAS, target=0, back_to=None, rollback=rollback)
    except UsageError as error:
        if error.id != "minimum-healthy":
            raise
        what = f"--like {shape.like} leaves none to replace in a fleet of any size"
        raise UsageError(id=error.id, what=what, fix=error.fix) from error


def refuse_timing(spec: RolloutSpec, readiness: Readiness) -> tuple[Finding, ...]:
    """What is to be said of it. LabError `plan-refused` for times that cannot be meant together."""
    findings = timing(spec, readiness)
    refusals = [finding.what for finding in findings if finding.refuses]
    if refusals:
        fix = "lengthen the one, or shorten the other: by a flag, or where the manifest says it"
        raise LabError(id="plan-refused", what="; ".join(refusals), fix=fix)
    return findings


def refuse_rate(rate: float | None) -> None:
    if rate is not None and not 0 < rate <= MOST_RATE:
        raise UsageError(
            id="rate",
            what=f"{rate:g} requests a second cannot be offered",
            fix=f"above 0 to {MOST_RATE:g}, or --no-load",
        )


def _refuse_two_ways(shape: Shape) -> None:
    if sum(any(getattr(shape, name) is not None for name in way) for way in WAYS) > 1:
        raise UsageError(
            id="budgets",
            what="--like, --max-surge with --max-unavailable, and --order with --batch are three ways to say one thing",
            fix="use one of them",
        )


def _budgets(it: Shape, replicas: int, *, asked: bool) -> tuple[Strategy, int, int, float]:
    if it.like is not None:
        like = preset(it.like, replicas)
        return like.strategy, like.surge, like.unavailable, like.failure_ratio(replicas)
    if it.max_surge is not None or it.max_unavailable is not None:
        surge = amount(it.max_surge or "0", "--max-surge")
        unavailable = amount(it.max_unavailable or "0", "--max-unavailable")
        return (Strategy.ROLLING, *budgets_of(replicas, surge, unavailable), 0.0)
    first = _or(it.order, Order.START_FIRST) is Order.START_FIRST
    if asked:
        many = batch_of(replicas, amount(it.batch or "1", "--batch"), start_first=first)
    else:
        many = min(int(it.batch or 1), replicas)  # the manifest's counts for fleets of any size
    return Strategy.WAVES, many if first else 0, 0 if first else many, 0.0


def _gate(text: str, minimum: int) -> Gate:
    try:
        measure, limit = gate_of(text)
    except ValueError as error:
        raise UsageError(id="gate", what=f"--gate: {error}", fix="--gate error-ratio=5%") from error
    return Gate(measure=measure, limit=limit, minimum=_MINIMUM.get(measure, minimum))


def _ratio(text: str) -> float:
    try:
        return share_of(text)
    except ValueError as error:
        raise UsageError(id="ratio", what=f"--max-failure-ratio: {error}", fix="--max-failure-ratio 5%") from error


def _or(value: T | None, default: T) -> T:
    return default if value is None else value
