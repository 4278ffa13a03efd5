"""What became of the requests, as plain numbers: a request costs a few additions, and whoever asks does the rest.

`accepted` is the sum of `outcomes` and `in_flight` at every moment; the three are counted apart, so that it is a check.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

# Seconds: from a loopback answer to the longest that the lab's clients wait.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass(slots=True)
class Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Return bounds and counts as Prometheus wants them: each with all below it."""
        found, below = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            below += count
            found.append((bound, float(below)))
        return found


@dataclass(slots=True)
class Counts:
    accepted: int = 0
    in_flight: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    retries: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    reused: int = 0
    connected: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    refused_connections: int = 0
    seconds: Histogram = field(default_factory=Histogram)
    held_seconds: Histogram = field(default_factory=Histogram)
    drain_seconds: Histogram = field(default_factory=Histogram)

    def begin(self) -> None:
        self.accepted += 1
        self.in_flight += 1

    def end(self, outcome: str, seconds: float) -> None:
        self.in_flight -= 1
        self.outcomes[outcome] += 1
        histogram = self.seconds
        histogram.counts[bisect_left(BUCKETS, seconds)] += 1
        histogram.total += seconds
