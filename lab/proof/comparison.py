"""Whether the new version answers slower than the old one.

A machine's noise is larger than most regressions, and it comes in waves: a comparison of two runs, or of all requests
at once, takes the waves for a difference. So only requests of the same half-second are compared, where both versions
met the same noise; each such pair of half-seconds gives one ratio, and what is judged is the median of the ratios.
"""

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, floor, lgamma, log

from lab.proof.answers import Answer
from lab.proof.records import Service
from lab.proof.result import Change, Comparison, Pace

WIDTHS_NS = (500_000_000, 1_000_000_000, 2_000_000_000)
"""Where half-seconds hold too few requests, seconds may do."""
LEAST_IN_ARM: Mapping[int, int] = {50: 10, 95: 20}
"""By percentile: a twentieth of fewer answers is none of them."""
LEAST_PAIRS = 5
"""Of five ratios all are above the true median in 1 of 32 cases: with fewer nothing can be told at 95 %."""
WARM_UP_NS = 1_000_000_000
"""The first answers of a new process are slow, whatever its version."""
FLOOR = 1.10
FLOOR_MS = 1.0
"""Less than either nobody minds."""
CONFIDENCE = 0.95

Pair = tuple[Sequence[int], Sequence[int]]


def compare(answers: Iterable[Answer], services: Iterable[Service], old: str, new: str) -> Comparison:
    """`services`: the replicas of the new version, and since when each got requests."""
    arms = _arms(answers, services)
    cut = [_Base(width_ns=width, pairs=_pairs(arms, width)) for width in WIDTHS_NS]
    bases = {percent: _base(cut, least) for percent, least in LEAST_IN_ARM.items()}
    changes = tuple(_change(base, percent) for percent, base in bases.items() if len(base.pairs) >= LEAST_PAIRS)
    return Comparison(outcome=_outcome(changes), old=old, new=new, changes=changes)


def worst(comparison: Comparison) -> Change | None:
    """Of what got worse, the most."""
    return max(filter(_is_worse, comparison.changes), key=lambda change: change.ratio, default=None)


def bootstrap_of_median(ratios: Sequence[float]) -> tuple[float, float]:
    """The limits, each one-sided, of the median's bootstrap distribution.

    That distribution needs no drawing: a resampled median is at most the k-th smallest value if at least half of the
    draws are, each with probability k/n.
    """
    ordered = sorted(ratios)
    n = len(ordered)
    places = range(1, n + 1)
    low = bisect_left(places, 1 - CONFIDENCE, key=lambda k: _at_least(n, (n + 1) // 2, k / n))
    high = bisect_left(places, CONFIDENCE, key=lambda k: _at_least(n, n // 2 + 1, k / n))
    return ordered[low], ordered[high]


def quantile(ordered: Sequence[int], percent: int) -> float:
    """The one whose expected place does not depend on how many there are: the two arms are not equally large."""
    place = (len(ordered) + 1) * percent / 100
    below = min(max(floor(place), 1), len(ordered))
    above = min(below + 1, len(ordered))
    return ordered[below - 1] + (place - floor(place)) * (ordered[above - 1] - ordered[below - 1])


def _outcome(changes: Sequence[Change]) -> Pace:
    if not changes:
        return Pace.TOO_LITTLE
    return Pace.WORSE if any(map(_is_worse, changes)) else Pace.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arm:
    """In columns: there may be a million answers."""

    due: "array[int]" = field(default_factory=lambda: array("q"))
    took: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, answer: Answer) -> None:
        self.due.append(answer.due_ns)
        self.took.append(answer.took_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arms:
    old: _Arm
    new: _Arm


def _arms(answers: Iterable[Answer], services: Iterable[Service]) -> _Arms:
    warm = {service.replica: service.from_ns + WARM_UP_NS for service in services}
    old, new = _Arm(), _Arm()
    for answer in answers:
        if answer.replica is None:
            continue
        since = warm.get(answer.replica)
        if since is None:
            old.add(answer)
        elif answer.due_ns >= since:
            new.add(answer)
    return _Arms(old=old, new=new)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    width_ns: int
    pairs: tuple[Pair, ...]


def _base(cut: Iterable[_Base], least: int) -> _Base:
    """The width that gives the most pairs, the narrowest of equals. The latencies have no say in it."""
    bases = [
        _Base(width_ns=base.width_ns, pairs=tuple(pair for pair in base.pairs if min(map(len, pair)) >= least))
        for base in cut
    ]
    return max(bases, key=lambda base: len(base.pairs))


def _pairs(arms: _Arms, width: int) -> tuple[Pair, ...]:
    """Those that have enough of each for one of the percentiles."""
    old, new = _by_time(arms.old, width), _by_time(arms.new, width)
    least, both = min(LEAST_IN_ARM.values()), sorted(old.keys() & new.keys())
    return tuple((_ordered(old[t]), _ordered(new[t])) for t in both if min(len(old[t]), len(new[t])) >= least)


def _ordered(took: "array[int]") -> "array[int]":
    return array("q", sorted(took))


def _by_time(arm: _Arm, width: int) -> "Mapping[int, array[int]]":
    found: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    for due, took in zip(arm.due, arm.took, strict=True):
        found[due // width].append(took)
    return found


def _change(base: _Base, percent: int) -> Change:
    sides = [(quantile(old, percent), quantile(new, percent)) for old, new in base.pairs]
    ratios = [new / old for old, new in sides]
    low, high = bootstrap_of_median(ratios)
    return Change(
        percent=percent,
        pairs=len(base.pairs),
        width_s=base.width_ns / 1e9,
        ratio=round(_median(ratios), 3),
        low=round(low, 3),
        high=round(high, 3),
        old_ms=round(_median([old for old, _ in sides]) / 1e6, 3),
        new_ms=round(_median([new for _, new in sides]) / 1e6, 3),
        more_ms=round(_median([new - old for old, new in sides]) / 1e6, 3),
    )


def _is_worse(change: Change) -> bool:
    return change.low > FLOOR and change.more_ms > FLOOR_MS


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    n = len(ordered)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _at_least(n: int, k: int, p: float) -> float:
    """P(at least k of n), each with probability p > 0."""
    if p >= 1:
        return 1.0
    ways = lgamma(n + 1)
    return sum(
        exp(ways - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log(1 - p)) for i in range(k, n + 1)
    )
