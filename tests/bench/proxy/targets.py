"""PURE. The figures against their limits: one line per target."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.proxy.figures import PROXIES, Case, Peer, Results, ratio

# Every other one is a most.
_AT_LEAST = frozenset({"throughput-vs-nginx", "peers-without-errors"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    name: str
    value: float | None
    limit: float
    at_least: bool

    @property
    def ok(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def line(self) -> str:
        return f"target {self.name} {self.shown} {_number(self.limit)} {'ok' if self.ok else 'MISSED'}"

    @property
    def shown(self) -> str:
        return "skipped" if self.value is None else _number(self.value)


def judge(results: Results, limits: Mapping[str, float]) -> tuple[Target, ...]:
    """Return a target per limit; one without a figure is missed."""
    values = _values(results)
    return tuple(
        Target(name=name, value=values[name], limit=limit, at_least=name in _AT_LEAST) for name, limit in limits.items()
    )


def _values(results: Results) -> dict[str, float | None]:
    growth = results.growth
    crowd = next((crowd for crowd in results.crowds if crowd.peer is Peer.OURS), None)
    return {
        "cpu-vs-plain": _cpu(results, Peer.PLAIN, Case.SMALL_32),
        "cpu-vs-nginx": _cpu(results, Peer.NGINX, Case.SMALL_32),
        "throughput-vs-nginx": ratio(results.rps(Peer.OURS, Case.SMALL_32), results.rps(Peer.NGINX, Case.SMALL_32)),
        "added-p99-vs-nginx": ratio(
            results.added_open_us(Peer.OURS, lambda run: run.p99_us),
            results.added_open_us(Peer.NGINX, lambda run: run.p99_us),
        ),
        "64k-cpu-vs-plain": _cpu(results, Peer.PLAIN, Case.LARGE_GET),
        "16k-post-cpu-vs-plain": _cpu(results, Peer.PLAIN, Case.LARGE_POST),
        "memory-million": ratio(growth.late_kib, growth.early_kib) if growth and not growth.errors else None,
        "memory-1000-connections": crowd.kib_each if crowd and not crowd.errors else None,
        "ledger-lines-lost": results.ledger_lost if results.ledger_lines else None,
        "peers-without-errors": sum(results.complete(peer) for peer in PROXIES),
    }


def _cpu(results: Results, other: Peer, case: Case) -> float | None:
    return ratio(results.cpu_us(Peer.OURS, case), results.cpu_us(other, case))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
