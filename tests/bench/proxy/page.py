"""PURE. docs/reference/proxy-speed.md from one run."""

from collections.abc import Iterable

from tests.bench.proxy.figures import PROXIES, Case, OpenRun, Peer, Results, difference, ratio
from tests.bench.proxy.targets import Target

_HEAD = """# How fast the proxy is

Written by `make bench-proxy`. The ratios hold on other machines, the absolute figures do not.

![CPU time per request and added latency: ours beside nginx, HAProxy and a plain aiohttp proxy](proxy-speed.svg)

"""

_HOW = """## How it is measured

* On loopback, one process of each proxy, all in one run, all started anew five times; a figure is the median of the
  starts, for the same program costs up to a third more or less from one start to the next.
  The proxy has a processor to itself; the load and the upstream (nginx, two ports, connections kept) share another.
* **ours** is `python -m proxy` as it starts by default, with two admitted replicas that it probes, retries, limits and
  time-outs, metrics, and the ledger of an open run: a target says that no line of that ledger was lost.
* **nginx** and **HAProxy** have one worker or thread, keep their connections to the upstream, write no access log and
  add X-Forwarded-For, -Proto, -Host and X-Request-ID, as ours does. nginx's buffers are enlarged
  (`client_body_buffer_size 64k`, `proxy_buffers 16 16k`): with its defaults a body of 16 KiB goes through a temporary
  file, which costs it several times the CPU.
* **plain aiohttp** is `web.Application` and `ClientSession` with streamed bodies, as tutorials show it
  (tests/bench/proxy/plain.py), on asyncio's own loop.
* wrk's requests are alike to the last byte, and so are its answers within a second: that is what ours does not parse
  twice. One case gives each request a path of its own, so that nothing of that helps.
* CPU per request is user and system time of the proxy's processes over the requests answered, under wrk's closed loop.
* Latency is measured by an open loop: requests leave on a fixed schedule, one rate for all (at most 30 % of what ours
  can do), on 32 kept connections, and each latency counts from when the request was due. *Added* is less the same
  without a proxy. The *lag* is how late the generator itself was. Meanwhile the generator, the upstream and all proxies
  have the kernel's real-time class, where it is allowed: of a slice that it gives to something else of the machine, the
  slowest hundredth would tell, and not of the proxy.
* A run with an error (socket, status, body) gives no figure, and its targets are missed. So is a latency when the
  generator was more than 1 ms late (p99) in half of the rounds or more; where it was in fewer, the others count.
* Memory is resident. *Each connection* is the larger of idle and active, less before, over the connections.
"""


def page(results: Results, targets: Iterable[Target], *, machine: str, day: str) -> str:
    parts = [
        _HEAD,
        f"{day}: {machine}. In the worst round {results.most_others():.0%} of the proxy's CPU went elsewhere.\n\n",
        _targets(targets),
        *(_case(results, case) for case in Case),
        _latency(results),
        _memory(results),
        _HOW,
    ]
    return "".join(parts)


def _targets(targets: Iterable[Target]) -> str:
    rows = [
        (
            target.name,
            target.shown,
            f"{'at least' if target.at_least else 'at most'} {target.limit:g}",
            "ok" if target.ok else "MISSED",
        )
        for target in targets
    ]
    return "## Targets\n\n" + _table(("target", "measured", "limit", ""), rows)


def _case(results: Results, case: Case) -> str:
    rows = [
        (
            peer,
            _whole(results.rps(peer, case)),
            _whole(results.cpu_us(peer, case)),
            _times(ratio(results.cpu_us(peer, case), results.cpu_us(Peer.NGINX, case))),
            _times(ratio(results.rps(peer, case), results.rps(Peer.NGINX, case))),
            _whole(difference(results.p50_us(peer, case), results.p50_us(Peer.DIRECT, case))),
            _whole(difference(results.p99_us(peer, case), results.p99_us(Peer.DIRECT, case))),
            _whole(results.rss_mib(peer, case)),
        )
        for peer in PROXIES
    ]
    head = (
        "",
        "requests/s",
        "CPU us/request",
        "CPU x nginx",
        "requests/s x nginx",
        "added p50 us",
        "added p99 us",
        "MiB",
    )
    return f"## {case[0].upper()}{case[1:]}, closed loop\n\n" + _table(head, rows)


def _latency(results: Results) -> str:
    def figures(peer: Peer) -> tuple[str, ...]:
        return (
            peer,
            _whole(results.open_figure(peer, lambda run: run.p50_us)),
            _whole(results.open_figure(peer, lambda run: run.p99_us)),
            _whole(results.added_open_us(peer, lambda run: run.p50_us)),
            _whole(results.added_open_us(peer, lambda run: run.p99_us)),
            _whole(results.open_figure(peer, lambda run: run.lag_p50_us)),
            _whole(results.open_figure(peer, lambda run: run.lag_p99_us)),
        )

    head = ("", "p50 us", "p99 us", "added p50 us", "added p99 us", "lag p50 us", "lag p99 us")
    rows = [figures(peer) for peer in (Peer.DIRECT, *PROXIES)]
    return f"## Latency, open loop: small GET, {_rate(results.opened)} requests/s for all\n\n" + _table(head, rows)


def _memory(results: Results) -> str:
    rows = [
        (
            crowd.peer,
            _mib(crowd.before_kib),
            _mib(crowd.idle_kib),
            _mib(crowd.active_kib),
            _mib(crowd.after_kib),
            f"{crowd.kib_each:.1f}" if not crowd.errors else "-",
        )
        for crowd in results.crowds
    ]
    count = results.crowds[0].connections if results.crowds else 0
    head = ("MiB", "before", f"{count:,} idle", f"{count:,} active", "after", "KiB each connection")
    text = "## Memory\n\n" + _table(head, rows)
    if grown := results.growth:
        text += (
            f"Ours after {grown.early_requests:,} requests: {_mib(grown.early_kib)} MiB; "
            f"after {grown.late_requests:,}: {_mib(grown.late_kib)} MiB.\n"
        )
    if results.ledger_lines:
        text += f"The ledgers of this run: {results.ledger_lines:,} lines, {results.ledger_lost:,} lost.\n"
    return f"{text}\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def _rate(runs: tuple[OpenRun, ...]) -> str:
    return f"{runs[0].rate:,}" if runs else "no"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _mib(kib: float) -> str:
    return f"{kib / 1024:.1f}"
