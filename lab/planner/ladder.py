"""PURE: whether a rollout's times can be meant together. Each finding says the numbers.

min-ready < ready timeout < progress timeout; a drain fits into the progress timeout; a bake is long enough for a probe
to fail in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lab.gates import Measure
from lab.model import RolloutSpec, Strategy
from lab.ports import Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`refuses`: with these times the rollout could only fail, or would prove nothing.

    `usual`: true of most rollouts, so that only a plan says it.
    """

    refuses: bool
    what: str
    usual: bool = False


def seconds_to_prove(readiness: Readiness) -> float:
    """The least that a replica needs that is ready at once."""
    return readiness.min_ready + readiness.passes * readiness.fast_interval


def seconds_to_notice(readiness: Readiness) -> float:
    """How long the proxy gives requests to a replica that is not ready any more, at most."""
    return readiness.fails * (readiness.interval + readiness.timeout)


def all_at_once(spec: RolloutSpec) -> bool:
    return spec.strategy is Strategy.RECREATE or max(spec.surge, spec.unavailable) >= spec.replicas


def timing(spec: RolloutSpec, readiness: Readiness) -> tuple[Finding, ...]:
    prove, notice = seconds_to_prove(readiness), seconds_to_notice(readiness)
    bake = max(spec.bake, spec.wave_bake)
    checks = [
        (
            prove >= spec.ready_timeout,
            True,
            (
                f"no replica can be ready in time: it takes {prove:g}s to prove one "
                f"(min-ready {readiness.min_ready:g}s), "
                f"and the ready timeout is {spec.ready_timeout:g}s"
            ),
        ),
        (
            spec.ready_timeout >= spec.progress_timeout,
            True,
            (
                f"the ready timeout of {spec.ready_timeout:g}s is not below the progress timeout of "
                f"{spec.progress_timeout:g}s: one slow replica would pause the rollout"
            ),
        ),
        (
            spec.drain_timeout >= spec.progress_timeout,
            True,
            (
                f"the drain timeout of {spec.drain_timeout:g}s is not below the progress timeout of "
                f"{spec.progress_timeout:g}s: one long drain would pause the rollout"
            ),
        ),
        (
            0 < bake < notice,
            True,
            f"a bake of {bake:g}s is over before a probe can fail in it, which takes {notice:g}s",
        ),
        (
            all_at_once(spec) and any(gate.measure is Measure.LATENCY for gate in spec.gates),
            True,
            (
                "a latency gate compares both versions while they serve together: "
                f"all {spec.replicas} replicas at once leave no time for that"
            ),
        ),
    ]
    said = [Finding(refuses=refuses, what=what) for holds, refuses, what in checks if holds]
    return (*said, *(Finding(refuses=False, what=what, usual=usual) for what, usual in _notes(spec, bake, notice)))


def _notes(spec: RolloutSpec, bake: float, notice: float) -> Iterator[tuple[str, bool]]:
    if spec.wave_bake > 0 and spec.strategy is not Strategy.WAVES:
        yield f"{spec.strategy} has no waves: the bake of {spec.wave_bake:g}s after each is one at the end", False
    if spec.unavailable >= spec.replicas:
        yield "for a while nobody serves: requests wait in the proxy", False
    if bake == 0:
        yield f"no bake: what fails within {notice:g}s of the last admission is not noticed (--bake {notice:g}s)", True
    if bake > 0 and not spec.gates:
        yield "no gate: the bake sees replicas that die or are not ready, not those that answer errors", True
