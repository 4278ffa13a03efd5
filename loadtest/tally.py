"""The running counts. `offered` is always `finished` + `not_sent` + `in_flight`."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.outcomes import OURS, Outcome

_WINDOW_NS = 5_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    offered: int
    finished: int
    failed: int
    not_sent: int

    @property
    def in_flight(self) -> int:
        return self.offered - self.finished - self.not_sent


class Tally:
    def __init__(self) -> None:
        self._offered = 0
        self._finished = 0
        self._failed = 0
        self._not_sent = 0
        self._lags: list[int] = []
        self._recent: deque[tuple[int, int]] = deque()

    def offer(self) -> None:
        self._offered += 1

    def lag(self, lag_ns: int) -> None:
        """How late the load itself was; it grows when this machine is too small for the rate."""
        self._lags.append(lag_ns)

    def end(self, outcome: Outcome, *, now: int, latency_ns: int | None) -> None:
        """`latency_ns` is None where it says nothing: a request with no answer, or one that was asked to be slow."""
        if outcome is Outcome.NOT_SENT:
            self._not_sent += 1
            return
        self._finished += 1
        self._failed += outcome is not Outcome.OK and outcome not in OURS
        if outcome is Outcome.OK and latency_ns is not None:
            self._recent.append((now, latency_ns))

    @property
    def counts(self) -> Counts:
        return Counts(offered=self._offered, finished=self._finished, failed=self._failed, not_sent=self._not_sent)

    def lag_p99_ms(self) -> float:
        return percentile_ms(self._lags, 0.99) or 0.0

    def recent_ms(self, now: int, *quantiles: float) -> list[float | None]:
        while self._recent and self._recent[0][0] < now - _WINDOW_NS:
            self._recent.popleft()
        values = sorted(latency for _, latency in self._recent)
        return [percentile_ms(values, q) for q in quantiles]


def percentile_ms(values: Sequence[int], quantile: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(int(quantile * len(ordered)), len(ordered) - 1)] / 1e6, 3)
