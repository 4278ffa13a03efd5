"""The running counts. `offered` is always `finished` + `not_sent` + `in_flight`."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.histogram import Histogram, merged
from loadtest.mixes import Mix
from loadtest.outcomes import OURS, Outcome

_WINDOW_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    offered: int = 0
    finished: int = 0
    failed: int = 0
    not_sent: int = 0
    cut: int = 0

    @property
    def in_flight(self) -> int:
        return self.offered - self.finished - self.not_sent

    def __add__(self, other: "Counts") -> "Counts":
        ours, theirs = asdict(self), asdict(other)
        return Counts(**{name: ours[name] + theirs[name] for name in ours})


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one process has counted; those of several add up."""

    counts: Counts
    lags: Histogram
    recent_lags: Histogram
    recent_latencies: Histogram
    mixes: Mapping[str, int] = field(default_factory=dict)
    """`WRITER READER FAULT` -> how many; a dash for a writer that is not known."""

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(
            counts=self.counts + other.counts,
            lags=merged((self.lags, other.lags)),
            recent_lags=merged((self.recent_lags, other.recent_lags)),
            recent_latencies=merged((self.recent_latencies, other.recent_latencies)),
            mixes=Counter(self.mixes) + Counter(other.mixes),
        )


def no_figures() -> Figures:
    return Figures(counts=Counts(), lags=Histogram(), recent_lags=Histogram(), recent_latencies=Histogram())


def figures_to_json(figures: Figures) -> dict[str, Any]:
    kept = {name: list(getattr(figures, name).counts.items()) for name in _HISTOGRAMS}
    return {"counts": asdict(figures.counts), "mixes": dict(figures.mixes), **kept}


def figures_from_json(told: Mapping[str, Any]) -> Figures:
    histograms = {name: Histogram(dict(told[name])) for name in _HISTOGRAMS}
    return Figures(counts=Counts(**told["counts"]), mixes=told["mixes"], **histograms)


_HISTOGRAMS = ("lags", "recent_lags", "recent_latencies")


class Tally:
    def __init__(self) -> None:
        self._offered = 0
        self._finished = 0
        self._failed = 0
        self._not_sent = 0
        self._cut = 0
        self._mixes: Counter[str] = Counter()
        self._lags = Histogram()
        self._recent_lags = _Recent()
        self._recent_latencies = _Recent()

    def offer(self) -> None:
        self._offered += 1

    def lag(self, lag_ns: int, *, now: int) -> None:
        """How late the load itself was; it grows when this machine is too small for the rate."""
        self._lags.add(lag_ns)
        self._recent_lags.add(lag_ns, now=now)

    def end(self, outcome: Outcome, *, now: int, latency_ns: int | None) -> None:
        """`latency_ns` is None where it says nothing: a request with no answer, or one that was asked to be slow."""
        if outcome is Outcome.NOT_SENT:
            self._not_sent += 1
            return
        self._finished += 1
        self._cut += outcome is Outcome.CUT
        self._failed += outcome not in {Outcome.OK, Outcome.CUT} and outcome not in OURS
        if outcome is Outcome.OK and latency_ns is not None:
            self._recent_latencies.add(latency_ns, now=now)

    def mixed(self, mix: Mix, *, reader: str) -> None:
        self._mixes[f"{mix.writer or '-'} {reader} {mix.fault}"] += 1

    @property
    def counts(self) -> Counts:
        return Counts(
            offered=self._offered,
            finished=self._finished,
            failed=self._failed,
            not_sent=self._not_sent,
            cut=self._cut,
        )

    def figures(self, now: int) -> Figures:
        return Figures(
            counts=self.counts,
            lags=self._lags,
            recent_lags=self._recent_lags.at(now),
            recent_latencies=self._recent_latencies.at(now),
            mixes=dict(self._mixes),
        )


class _Recent:
    """The last seconds, one histogram each."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, Histogram]] = deque()

    def add(self, value: int, *, now: int) -> None:
        second = now // 1_000_000_000
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append((second, Histogram()))
            self._forget(second)
        self._seconds[-1][1].add(value)

    def at(self, now: int) -> Histogram:
        self._forget(now // 1_000_000_000)
        return merged(self._values())

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - _WINDOW_S:
            self._seconds.popleft()

    def _values(self) -> Iterable[Histogram]:
        return (histogram for _, histogram in self._seconds)
