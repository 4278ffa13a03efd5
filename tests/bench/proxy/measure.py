"""One run: every peer side by side, started anew several times, so that a slow moment of the machine hits all alike."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tests.bench.proxy import memory, openloop
from tests.bench.proxy.figures import PROXIES, Case, ClosedRun, OpenRun, Peer, Results, common_rate
from tests.bench.proxy.peers import Running, World
from tests.bench.proxy.plan import OPEN_MOST, OPEN_SHARE, REQUESTS, Plan
from tests.bench.proxy.processes import NotStartedError, busy_seconds
from tests.bench.proxy.wrk import Load, Wrk

_QUIET = 0.1


@dataclass(slots=True, kw_only=True)
class Bench:
    world: World
    plan: Plan
    say: Callable[[str], None]
    _ledger_lines: int = field(default=0, init=False)
    _ledger_lost: int = field(default=0, init=False)

    def measure(self) -> Results:
        results, rate = Results(), None
        for number in range(1, self.plan.starts + 1):
            with self._all_running() as running:
                self.say(f"start {number} of {self.plan.starts}")
                results = replace(results, closed=(*results.closed, *self._closed(running)))
                rate = rate or _rate(results)
                if rate is not None:
                    results = replace(results, opened=(*results.opened, *self._opened(running, rate)))
        results = self._with_crowds(results)
        results = self._with_growth(results)
        return replace(results, ledger_lines=self._ledger_lines, ledger_lost=self._ledger_lost)

    @property
    def _wrk(self) -> Wrk:
        return Wrk(program=self.world.tools.wrk, cpu=self.world.cpus.rest, folder=self.world.folder)

    @contextlib.contextmanager
    def _all_running(self) -> Iterator[list[Running]]:
        with contextlib.ExitStack() as stack:
            yield [running for peer in PROXIES if (running := stack.enter_context(self._running(peer)))]

    @contextlib.contextmanager
    def _running(self, peer: Peer) -> Iterator[Running | None]:
        """Start a fresh one; None, and the reason is said: it cannot be."""
        with contextlib.ExitStack() as stack:
            running: Running | None = None
            try:
                running = stack.enter_context(self.world.running(peer))
            except (NotStartedError, OSError) as error:
                self.say(f"{peer}: not measured: {error}")
            yield running
            if running and running.admin:
                running.admin.close_ledger()
                self._ledger_lines += running.admin.ledger_lines
                self._ledger_lost += running.admin.ledger_lost

    def _closed(self, running: list[Running]) -> tuple[ClosedRun, ...]:
        for peer in running:
            self._wrk.run(peer.port, REQUESTS[Case.SMALL_32], 1)
        runs: list[ClosedRun] = []
        for case in Case:
            self.say(f"  {case}")
            direct = self._wrk.run(self.world.upstreams[0], REQUESTS[case], self.plan.direct_seconds)
            runs.append(_closed_run(Peer.DIRECT, case, direct))
            runs += [self._one_closed(peer, case) for peer in running]
        return tuple(runs)

    def _one_closed(self, peer: Running, case: Case) -> ClosedRun:
        peer.between_runs()
        cpu = self.world.cpus.proxy
        busy, spent, began = busy_seconds(cpu), peer.process.cpu_seconds(), time.monotonic()
        load = self._wrk.run(peer.port, REQUESTS[case], self.plan.seconds)
        spent = peer.process.cpu_seconds() - spent
        others = (busy_seconds(cpu) - busy - spent) / (time.monotonic() - began)
        if others > _QUIET:
            self.say(f"  {peer.peer}: something else took {others:.0%} of its processor")
        if load.errors:
            self.say(f"  {peer.peer}: {load.errors} errors in {load.requests} requests")
        run = _closed_run(peer.peer, case, load)
        return replace(run, cpu_seconds=spent, rss_kib=peer.process.rss_kib(), others=max(0.0, others))

    def _opened(self, running: list[Running], rate: int) -> tuple[OpenRun, ...]:
        ports = [(Peer.DIRECT, self.world.upstreams[0]), *((peer.peer, peer.port) for peer in running)]
        runs: list[OpenRun] = []
        priority = self._precedence(running)
        for number in range(1, self.plan.open_rounds + 1):
            self.say(f"  open loop, round {number} of {self.plan.open_rounds}: {rate} requests/s")
            for peer, port in ports:
                run = openloop.offer(
                    peer, port, rate, self.plan.open_seconds, cpu=self.world.cpus.rest, priority=priority
                )
                runs.append(run)
                if run.errors or not run.on_schedule:
                    self.say(f"  {peer}: {run.errors} errors; the generator was {run.lag_p99_us:.0f} us late (p99)")
        self.world.upstream.take_precedence(0)
        return tuple(runs)

    def _precedence(self, running: list[Running]) -> int:
        """Put all that is measured before the rest of the machine; return the generator's priority, 0: not allowed.

        A slice that the kernel gives to somebody else lasts longer than a hundred requests: as the slowest hundredth it
        would be taken for the proxy's.
        """
        processes = [self.world.upstream, *(peer.process for peer in running)]
        if all(process.take_precedence(1) for process in processes):
            return 2
        for process in processes:
            process.take_precedence(0)
        self.say("  no real-time class here: the slowest hundredth is also that of the machine")
        return 0

    def _with_crowds(self, results: Results) -> Results:
        for peer in PROXIES:
            self.say(f"{self.plan.connections} connections: {peer}")
            with self._running(peer) as running:
                if running:
                    crowd = memory.crowd(running, self._wrk, self.plan.connections)
                    results = replace(results, crowds=(*results.crowds, crowd))
        return results

    def _with_growth(self, results: Results) -> Results:
        self.say(f"memory of ours over {self.plan.late_requests} requests")
        with self._running(Peer.OURS) as running:
            grown = memory.growth(running, self._wrk, self.plan) if running else None
        if running and not grown:
            self.say(f"  not done after {self.plan.growth_seconds:.0f} s")
        return replace(results, growth=grown)


def _rate(results: Results) -> int | None:
    """Return the open loop's: by what ours can do at its first start."""
    capacity = results.rps(Peer.OURS, Case.SMALL_32)
    return None if capacity is None else common_rate(capacity, share=OPEN_SHARE, most=OPEN_MOST)


def _closed_run(peer: Peer, case: Case, load: Load) -> ClosedRun:
    return ClosedRun(
        peer=peer,
        case=case,
        requests=load.requests,
        seconds=load.seconds,
        errors=load.errors,
        p50_us=load.p50_us,
        p99_us=load.p99_us,
    )
