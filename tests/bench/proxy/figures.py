"""PURE. What was measured, and the one figure that stands for several rounds: their median."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median


class Peer(StrEnum):
    OURS = "ours"
    NGINX = "nginx"
    HAPROXY = "HAProxy"
    PLAIN = "plain aiohttp"
    DIRECT = "no proxy"


MOST_LAG_US = 1000.0
PROXIES = (Peer.OURS, Peer.NGINX, Peer.HAPROXY, Peer.PLAIN)


class Case(StrEnum):
    SMALL_1 = "small GET, 1 connection"
    SMALL_32 = "small GET, 32 connections"
    OWN_PATHS_32 = "small GET, 32 connections, each request with a path of its own"
    LARGE_GET = "64 KiB GET, 16 connections"
    LARGE_POST = "16 KiB POST, 16 connections"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedRun:
    """As fast as it goes: each connection asks again once it is answered."""

    peer: Peer
    case: Case
    requests: int
    seconds: float
    errors: int
    p50_us: float
    p99_us: float
    cpu_seconds: float = 0.0
    rss_kib: int = 0
    others: float = 0.0  # share of the proxy's processor that went to something else


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """On a schedule: a request is sent when it is due, and its latency counts from then."""

    peer: Peer
    rate: int
    answered: int
    errors: int
    p50_us: float
    p99_us: float
    lag_p50_us: float
    lag_p99_us: float

    @property
    def on_schedule(self) -> bool:
        """Whether the latency is the proxy's, not the generator's own lateness on a machine with other work."""
        return self.answered > 0 and self.lag_p99_us < MOST_LAG_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Memory of one fresh proxy after a first part of many requests, and after all of them."""

    early_requests: int
    early_kib: int
    late_requests: int
    late_kib: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Memory of one fresh proxy before, with many idle connections, with all of them asking, and after them."""

    peer: Peer
    connections: int
    before_kib: int
    idle_kib: int
    active_kib: int
    after_kib: int
    errors: int

    @property
    def kib_each(self) -> float:
        return (max(self.idle_kib, self.active_kib) - self.before_kib) / self.connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    closed: tuple[ClosedRun, ...] = ()
    opened: tuple[OpenRun, ...] = ()
    growth: Growth | None = None
    crowds: tuple[Crowd, ...] = ()
    ledger_lines: int | None = None
    ledger_lost: int | None = None

    def rps(self, peer: Peer, case: Case) -> float | None:
        return self._closed(peer, case, lambda run: run.requests / run.seconds)

    def cpu_us(self, peer: Peer, case: Case) -> float | None:
        return self._closed(peer, case, lambda run: run.cpu_seconds / run.requests * 1e6)

    def p50_us(self, peer: Peer, case: Case) -> float | None:
        return self._closed(peer, case, lambda run: run.p50_us)

    def p99_us(self, peer: Peer, case: Case) -> float | None:
        return self._closed(peer, case, lambda run: run.p99_us)

    def rss_mib(self, peer: Peer, case: Case) -> float | None:
        return self._closed(peer, case, lambda run: run.rss_kib / 1024)

    def open_figure(self, peer: Peer, figure: Callable[[OpenRun], float]) -> float | None:
        """Return the median of the rounds on schedule; None unless they are most of the rounds, all without errors."""
        runs = [run for run in self.opened if run.peer is peer]
        kept = [run for run in runs if run.on_schedule]
        trusted = len(kept) * 2 > len(runs) and not any(run.errors for run in runs)
        return _median(figure(run) for run in kept) if trusted else None

    def added_open_us(self, peer: Peer, figure: Callable[[OpenRun], float]) -> float | None:
        return difference(self.open_figure(peer, figure), self.open_figure(Peer.DIRECT, figure))

    def most_others(self) -> float:
        return max((run.others for run in self.closed), default=0.0)

    def complete(self, peer: Peer) -> bool:
        """Whether the peer answered every case, and never wrongly."""
        opened = [run.errors for run in self.opened if run.peer is peer]
        return all(self.rps(peer, case) is not None for case in Case) and bool(opened) and not any(opened)

    def _closed(self, peer: Peer, case: Case, figure: Callable[[ClosedRun], float]) -> float | None:
        runs = [run for run in self.closed if run.peer is peer and run.case is case]
        if any(run.errors or not run.requests for run in runs):
            return None
        return _median(figure(run) for run in runs)


def ratio(one: float | None, other: float | None) -> float | None:
    if one is None or other is None or other <= 0:
        return None
    return one / other


def difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def percentile(ordered: list[int], share: float) -> int:
    """Return the smallest value that at least this share of the ordered values does not exceed."""
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def common_rate(capacity: float, *, share: float, most: int) -> int:
    """Return the rate of the open loop: a share of our own capacity, in whole hundreds."""
    return max(100, min(most, int(capacity * share) // 100 * 100))


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return median(found) if found else None
