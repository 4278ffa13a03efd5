"""PURE: conditions on live measurements that must hold to go on.

Every measurement is attributed by the proxy to one revision. Too few of them say nothing: inconclusive is not ok (P7).
A new kind of gate is a new `Measure` and its line in `_READ`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Measure(StrEnum):
    """What a gate looks at."""

    ERROR_RATIO = "error-ratio"
    """Answers of the revision that are server errors, of all its answers."""
    UNREADY_RATIO = "unready-ratio"
    """Replicas of the revision that were admitted and do not serve now, of all that were admitted."""


class Judgement(StrEnum):
    OK = "ok"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The measure must not be above `limit`, once there are `minimum` samples of it."""

    measure: Measure
    limit: float
    minimum: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What was measured of one revision since a moment."""

    requests: int = 0
    errors: int = 0
    admitted: int = 0
    unready: int = 0

    def since(self, earlier: "Samples") -> "Samples":
        """Requests are counted up and are compared; replicas are as they stand now.

        Who counts less than before has begun anew: then all of it came since.
        """
        anew = self.requests < earlier.requests or self.errors < earlier.errors
        return Samples(
            requests=self.requests - (0 if anew else earlier.requests),
            errors=self.errors - (0 if anew else earlier.errors),
            admitted=self.admitted,
            unready=self.unready,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    judgement: Judgement
    reasons: tuple[str, ...] = field(default=())


def judge(samples: Samples, gates: tuple[Gate, ...]) -> Verdict:
    """One failed gate fails; without one, one inconclusive gate makes it inconclusive. No gates: ok."""
    found = [_one(samples, gate) for gate in gates]
    for judgement in (Judgement.FAILED, Judgement.INCONCLUSIVE):
        reasons = tuple(reason for j, reason in found if j is judgement)
        if reasons:
            return Verdict(judgement=judgement, reasons=reasons)
    return Verdict(judgement=Judgement.OK, reasons=tuple(reason for _, reason in found))


def _one(samples: Samples, gate: Gate) -> tuple[Judgement, str]:
    part, whole, of = _READ[gate.measure](samples)
    if whole < max(gate.minimum, 1):
        return Judgement.INCONCLUSIVE, f"{gate.measure}: {whole} {of}, at least {max(gate.minimum, 1)} are needed"
    share = part / whole
    said = f"{gate.measure} {share:.2%} ({part} of {whole} {of}), limit {gate.limit:.2%}"
    return (Judgement.FAILED if share > gate.limit else Judgement.OK), said


_READ: Mapping[Measure, Callable[[Samples], tuple[int, int, str]]] = {
    Measure.ERROR_RATIO: lambda s: (s.errors, s.requests, "requests"),
    Measure.UNREADY_RATIO: lambda s: (s.unready, s.admitted, "replicas"),
}
