"""Percentiles of what was answered. A request with no answer is a drop, not a long latency."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from lab.proof.result import Latency

_ALIKE = 20
"""Bits: about a millisecond."""


def summarize(latencies_ns: Sequence[int], excluded_cohorts: Iterable[str]) -> Latency:
    return Latency(
        p50_ms=_percentile_ms(latencies_ns, 50),
        p99_ms=_percentile_ms(latencies_ns, 99),
        samples=len(latencies_ns),
        excluded_cohorts=tuple(sorted(excluded_cohorts)),
    )


def _percentile_ms(latencies_ns: Sequence[int], percent: float) -> float | None:
    """The same of a million, without a list of them: only those are sorted that are alike to a millisecond."""
    counts = Counter(latency >> _ALIKE for latency in latencies_ns)
    below, wanted = 0, _rank(len(latencies_ns), percent)
    for alike in sorted(counts):
        if below + counts[alike] >= wanted:
            near = sorted(latency for latency in latencies_ns if latency >> _ALIKE == alike)
            return round(near[wanted - below - 1] / 1e6, 3)
        below += counts[alike]
    return None


def percentile_ms(ordered_ns: Sequence[int], percent: float) -> float | None:
    """The nearest rank: a latency that some request really had."""
    if not ordered_ns:
        return None
    return round(ordered_ns[_rank(len(ordered_ns), percent) - 1] / 1e6, 3)


def _rank(of: int, percent: float) -> int:
    return max(1, math.ceil(of * percent / 100))
