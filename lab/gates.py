"""PURE: conditions on live measurements that must hold to go on.

What the proxy measures is attributed by it to one revision; what the load's users felt is the whole fleet's. Too few
measurements say nothing: inconclusive is not ok (P7). A new kind of gate is a new `Measure` and its line in `_JUDGES`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.proof.result import Change

_WHOLE = 100


class Measure(StrEnum):
    """What a gate looks at."""

    ERROR_RATIO = "error-ratio"
    """Answers of the revision that are server errors, of all its answers."""
    UNREADY_RATIO = "unready-ratio"
    """Replicas of the revision that were admitted and do not serve now, of all that were admitted."""
    DROPPED = "dropped"
    """Requests of the load that were not answered well, whoever was to answer them: a count, not a share."""
    LATENCY = "latency"
    """How many times as long as the other version the revision takes, in the instants in which both answered."""


FELT = frozenset({Measure.DROPPED, Measure.LATENCY})
"""Measured by the lab's own load: without it they have no data, and on the way back they speak of no one version."""


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

    def __str__(self) -> str:
        match self.measure:
            case Measure.DROPPED:
                return f"{self.measure}={self.limit:g}"
            case Measure.LATENCY:
                return f"{self.measure}={self.limit:g}x"
            case _:
                return f"{self.measure}={self.limit * _WHOLE:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Felt:
    """What the load's users felt since the load began: requests that ended, and of these the dropped.

    `changes`: the revision's latency against the other version's, in the instants so far in which both answered.
    """

    ended: int = 0
    dropped: int = 0
    changes: tuple["Change", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What was measured of one revision since a moment."""

    requests: int = 0
    errors: int = 0
    admitted: int = 0
    unready: int = 0
    felt: Felt = field(default_factory=Felt)

    def since(self, earlier: "Samples") -> "Samples":
        """Requests are counted up and are compared; replicas are as they stand now, and latencies all there are.

        Who counts less than before has begun anew: then all of it came since.
        """
        requests, errors = _since((self.requests, self.errors), (earlier.requests, earlier.errors))
        ended, dropped = _since((self.felt.ended, self.felt.dropped), (earlier.felt.ended, earlier.felt.dropped))
        felt = replace(self.felt, ended=ended, dropped=dropped)
        return replace(self, requests=requests, errors=errors, felt=felt)


def _since(now: tuple[int, int], before: tuple[int, int]) -> tuple[int, int]:
    anew = now[0] < before[0] or now[1] < before[1]
    return now if anew else (now[0] - before[0], now[1] - before[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    judgement: Judgement
    reasons: tuple[str, ...] = field(default=())


def judge(samples: Samples, gates: tuple[Gate, ...]) -> Verdict:
    """One failed gate fails; without one, one inconclusive gate makes it inconclusive. No gates: ok."""
    found = [_JUDGES[gate.measure](samples, gate) for gate in gates]
    for judgement in (Judgement.FAILED, Judgement.INCONCLUSIVE):
        reasons = tuple(reason for j, reason in found if j is judgement)
        if reasons:
            return Verdict(judgement=judgement, reasons=reasons)
    return Verdict(judgement=Judgement.OK, reasons=tuple(reason for _, reason in found))


def limit_of(measure: Measure, text: str) -> float:
    """The limit as it is written: `5%` or `0.05`, `0`, `1.2x`. ValueError says what is wrong."""
    match measure:
        case Measure.DROPPED:
            if not text.isdecimal():
                raise ValueError(f"{text!r} is no number of requests such as 0")
            return float(text)
        case Measure.LATENCY:
            times = _number(text.removesuffix("x"))
            if not 1 <= times < math.inf:
                raise ValueError(f"{text!r} is not how many times as long, such as 1.2x")
            return times
        case _:
            return share_of(text)


def share_of(text: str) -> float:
    """`5%` or `0.05`. ValueError for what is none."""
    value = _number(text.removesuffix("%")) / (_WHOLE if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is no share such as 5% or 0.05")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


Found = tuple[Judgement, str]


def _share(read: Callable[[Samples], tuple[int, int]], of: str) -> Callable[[Samples, Gate], Found]:
    def found(samples: Samples, gate: Gate) -> Found:
        part, whole = read(samples)
        if whole < max(gate.minimum, 1):
            return _too_few(gate, f"{whole} {of}")
        share = part / whole
        said = f"{gate.measure} {share:.2%} ({part} of {whole} {of}), limit {gate.limit:.2%}"
        return (Judgement.FAILED if share > gate.limit else Judgement.OK), said

    return found


def _dropped(samples: Samples, gate: Gate) -> Found:
    """A drop that was seen is a fact, however few requests there were."""
    felt = samples.felt
    said = f"{gate.measure} {felt.dropped} of {felt.ended} requests, limit {gate.limit:g}"
    if felt.dropped > gate.limit:
        return Judgement.FAILED, said
    if felt.ended < max(gate.minimum, 1):
        return _too_few(gate, f"{felt.ended} requests")
    return Judgement.OK, said


def _latency(samples: Samples, gate: Gate) -> Found:
    from lab.proof.comparison import FLOOR_MS  # the proof is much to import, and every command knows the gates

    told = [change for change in samples.felt.changes if change.pairs >= max(gate.minimum, 1)]
    if not told:
        pairs = max((change.pairs for change in samples.felt.changes), default=0)
        return _too_few(gate, f"{pairs} instants in which both versions answered enough")
    worst = max(told, key=lambda change: change.low)
    slower = [change for change in told if change.low > gate.limit and change.more_ms > FLOOR_MS]
    shown = max(slower, key=lambda change: change.low, default=worst)
    said = (
        f"{gate.measure} p{shown.percent} x{shown.ratio:.2f} (at least x{shown.low:.2f}, {shown.more_ms:.1f} ms more, "
        f"in {shown.pairs} instants), limit x{gate.limit:g}"
    )
    return (Judgement.FAILED if slower else Judgement.OK), said


def _too_few(gate: Gate, there: str) -> Found:
    return Judgement.INCONCLUSIVE, f"{gate.measure}: {there}, at least {max(gate.minimum, 1)} are needed"


_JUDGES: Mapping[Measure, Callable[[Samples, Gate], Found]] = {
    Measure.ERROR_RATIO: _share(lambda s: (s.errors, s.requests), "requests"),
    Measure.UNREADY_RATIO: _share(lambda s: (s.unready, s.admitted), "replicas"),
    Measure.DROPPED: _dropped,
    Measure.LATENCY: _latency,
}
