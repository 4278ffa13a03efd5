"""Percentiles of what was answered. A request with no answer is a drop, not a long latency."""

import math
from collections.abc import Iterable, Sequence

from lab.proof.result import Latency


def summarize(latencies_ns: Iterable[int], excluded_cohorts: Iterable[str]) -> Latency:
    ordered = sorted(latencies_ns)
    return Latency(
        p50_ms=percentile_ms(ordered, 50),
        p99_ms=percentile_ms(ordered, 99),
        samples=len(ordered),
        excluded_cohorts=tuple(sorted(excluded_cohorts)),
    )


def percentile_ms(ordered_ns: Sequence[int], percent: float) -> float | None:
    """The nearest rank: a latency that some request really had."""
    if not ordered_ns:
        return None
    rank = max(1, math.ceil(len(ordered_ns) * percent / 100))
    return round(ordered_ns[rank - 1] / 1e6, 3)
