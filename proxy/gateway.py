"""The shell around the routing table: a change is made, written down and told to all in one step of the event loop."""

import asyncio
import sys
import time
from collections.abc import Callable, Collection

from proxy.counts import Counts
from proxy.cut_switch import CutSwitch
from proxy.errors import NotSavedError
from proxy.eventlog import EventLog
from proxy.hold import Hold
from proxy.lease import Lease, Leases, Owner
from proxy.ledger import Ledger, Result
from proxy.pool import Pool
from proxy.prober import Prober
from proxy.readiness import Probe, pause_ms
from proxy.routing import Claim, Deadlines, Kind, Route, RoutingTable
from proxy.settings import Limits
from proxy.statefile import Kept, StateFile
from proxy.transitions import Place

# Asking the enum costs more than what is decided by it.
_ABORTED, _CUT, _DRAINING = Result.ABORTED_AT_DRAIN, Result.CUT, Place.DRAINING
# Routine changes (health, in-flight) raise `seq` without being written: after a restart it goes on from beyond them.
_SEQ_LEAP = 1_000_000


class Gateway:
    def __init__(
        self,
        store: StateFile,
        ledger: Ledger,
        limits: Limits,
        *,
        random: Callable[[], float],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._store = store
        self._clock = clock
        self._probers: dict[str, Prober] = {}
        self._deadlines: dict[str, list[asyncio.TimerHandle]] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self._told = 0
        self.ledger = ledger
        self.switch = CutSwitch()
        self.counts = Counts()
        self.pools: dict[str, Pool] = {}
        kept = store.load()
        seq = kept.seq + _SEQ_LEAP if kept.epoch or kept.fence else 0
        self.table = RoutingTable(
            kept.routes,
            epoch=kept.epoch,
            seq=seq,
            random=random,
            must_serve=limits.hold_seconds == 0,
            eject_errors=limits.eject_errors,
            eject_ns=round(limits.eject_seconds * 1e9),
        )
        self.hold = Hold(
            lambda tried: self.table.claim(tried, self._clock()),
            lambda claim: self.release(claim, Result.CLIENT_GONE),
            lambda: (self.table.outstanding, self.table.candidates),
            count=limits.hold_count,
            size=limits.hold_bytes,
            seconds=limits.hold_seconds,
        )
        self.hold.on = kept.hold
        self.events = EventLog(first=seq)
        self.leases = _restored(kept, clock())
        self._run_before = kept.run

    def start(self) -> None:
        """Go on where the state file says: probe all, finish the drains, continue the run's ledger."""
        if self._run_before is not None:
            try:
                self.ledger.open(self._run_before)
            except OSError as error:
                sys.stderr.write(f"proxy: the ledger of run {self._run_before} cannot be continued: {error}\n")
        self._save()
        for name, entry in self.table.entries.items():
            self._attend(entry.route)
            if entry.route.place is Place.DRAINING:
                self._drain(name)

    async def stop(self) -> None:
        self._closed = True
        self._announce(force=True)
        probers = list(self._probers.values())
        self.hold.stop()
        for replica in list(self._deadlines):
            self._forget_deadlines(replica)
        for pool in self.pools.values():
            pool.abort()
        await asyncio.gather(*(prober.stop() for prober in probers))
        self.ledger.suspend()

    @property
    def closed(self) -> bool:
        return self._closed

    def now_ns(self) -> int:
        return self._clock()

    # What the data plane does

    def claim(self, tried: Collection[str]) -> Claim | None:
        """Claim a replica, unless requests are held: then those that wait are first."""
        if self.hold.blocks:
            return None
        table = self.table
        return table.claim(tried, self._clock() if table.slow_start else 0)

    def becomes(self, claim: Claim, kind: Kind) -> None:
        """Say that the answer is a stream or a tunnel; its own drain deadline may be over already."""
        self.table.becomes(claim, kind)
        deadlines = claim.entry.route.deadlines
        if deadlines is not None and self._clock() >= deadlines.of(kind):
            asyncio.get_running_loop().call_soon(_cut, claim)

    def release(self, claim: Claim, result: Result) -> None:
        self.table.release(claim, result is _ABORTED, result is _CUT)
        if claim.entry.route.place is _DRAINING:
            if claim.entry.in_flight == 0:
                self._settle(claim.replica)
            else:
                self._announce()
        if self.hold.blocks:
            self.hold.pump()

    def cut_endless(self) -> None:
        """End in order what would not end by itself: the proxy is about to."""
        for entry in self.table.entries.values():
            for claim in [each for each in entry.claims if each.kind is not Kind.SHORT]:
                _cut(claim)

    def errored(self, claim: Claim, *, unreachable: bool) -> None:
        """Count a connection error against a replica; what cannot be reached is probed at once."""
        self.table.errored(claim.entry, now_ns=self._clock())
        if unreachable and claim.replica in self._probers:
            self._probers[claim.replica].hurry()
        self._announce()

    # What the controller asks for

    def take_lease(self, owner: Owner, ttl_ms: int, *, replace_fence: int | None) -> Lease:
        return self._keep_lease(self.leases.take(owner, ttl_ms, self.now_ns(), replace_fence=replace_fence))

    def renew_lease(self, owner: Owner, ttl_ms: int, *, fence: int) -> Lease:
        return self._keep_lease(self.leases.renew(owner, ttl_ms, self.now_ns(), fence=fence))

    def give_lease_back(self, fence: int) -> None:
        self._lease_becomes(self.leases.give_back(fence=fence))

    def join(self, fence: int, route: Route) -> None:
        self._change(fence, lambda: self.table.join(route))
        if route.replica not in self.pools:
            self._attend(route)

    def admit(self, fence: int, replica: str) -> None:
        self._change(fence, lambda: self.table.admit(replica, now_ns=self.now_ns()))

    def retire(self, fence: int, replica: str, deadlines_ms: tuple[int, int, int]) -> None:
        """Drain it; the deadlines are those of what is short, of streams and of WebSockets."""
        now = self.now_ns()
        short, stream, websocket = (now + each * 1_000_000 for each in deadlines_ms)
        deadlines = Deadlines(short=short, stream=stream, websocket=websocket)
        self._change(fence, lambda: self.table.retire(replica, now_ns=now, deadlines=deadlines))
        if self.table.entries[replica].route.place is Place.DRAINING:
            self._drain(replica)

    def restore(self, fence: int, replica: str) -> None:
        self._change(fence, lambda: self.table.restore(replica))
        self._forget_deadlines(replica)
        self.pools[replica].reopen()
        self._probe(self.table.entries[replica].route)

    def hold_requests(self, fence: int) -> None:
        self._holding_becomes(fence, on=True)

    def release_requests(self, fence: int) -> None:
        self._holding_becomes(fence, on=False)

    def remove(self, fence: int, replica: str, *, lost: bool) -> None:
        self._change(fence, lambda: self.table.remove(replica, lost=lost))
        self._stop_probing(replica)
        self._forget_deadlines(replica)
        if replica in self.pools:
            # Its address may belong to another container at once: nothing may stay open to it.
            self.pools.pop(replica).abort()

    def open_run(self, fence: int, run: str) -> None:
        self.leases.check(fence, self.now_ns())
        try:
            self.ledger.open(run)
        except OSError as error:
            raise NotSavedError(f"the ledger of run {run} cannot be opened: {error}") from error
        self._tell_switch()
        self._save()
        self._observable()

    async def close_run(self, fence: int) -> None:
        """Return when all of the run's ledger is in its file; no request waits for that."""
        self.leases.check(fence, self.now_ns())
        finish = self.ledger.detach()
        self._save()
        self._observable()
        await asyncio.to_thread(finish)

    def turn_switch(self, fence: int, every: int) -> None:
        """Cut every so manieth answer, or none (0)."""
        self.leases.check(fence, self.now_ns())
        self.switch.turn(every)
        self._tell_switch()

    def _tell_switch(self) -> None:
        if self.switch.every:
            self.ledger.cuts(self.switch.every)

    def _holding_becomes(self, fence: int, *, on: bool) -> None:
        self.leases.check(fence, self.now_ns())
        if on == self.hold.on:
            return
        self.hold.on = on
        try:
            self._save()
        except NotSavedError:
            self.hold.on = not on
            raise
        self.events.add("hold", self.now_ns(), on=on)
        self._observable()

    async def wait_beyond(self, seq: int, seconds: float) -> None:
        """Return when the state's `seq` is above the given one, the time is over or the proxy stops."""
        try:
            async with asyncio.timeout(seconds):
                while self.table.seq <= seq and not self._closed:
                    await self._changed.wait()
        except TimeoutError:
            return

    # How a change is kept

    def _change(self, fence: int, apply: Callable[[], None]) -> None:
        self.leases.check(fence, self.now_ns())
        before = self.table.checkpoint()
        apply()
        if self.table.epoch == before.epoch:
            return
        try:
            self._save()
        except NotSavedError:
            self.table.roll_back(before)
            raise
        self._announce()

    def _keep_lease(self, leases: Leases) -> Lease:
        self._lease_becomes(leases)
        assert leases.last is not None  # noqa: S101  just granted
        return leases.last

    def _lease_becomes(self, leases: Leases) -> None:
        before = self.leases
        self.leases = leases
        if (leases.fence, leases.last is None) == (before.fence, before.last is None):
            return
        try:
            self._save()
        except NotSavedError:
            self.leases = before
            raise
        self._observable()

    def _save(self) -> None:
        last = self.leases.last
        kept = Kept(
            epoch=self.table.epoch,
            seq=self.table.seq,
            fence=self.leases.fence,
            owner=None if last is None else dict(last.owner),
            ttl_ms=0 if last is None else last.ttl_ms,
            run=self.ledger.run,
            hold=self.hold.on,
            routes=tuple(entry.route for entry in self.table.entries.values()),
        )
        try:
            self._store.save(kept)
        except OSError as error:
            raise NotSavedError(f"nothing was changed: the routing state cannot be written: {error}") from error

    def _observable(self) -> None:
        self.table.seq += 1
        self._announce()

    def _announce(self, *, force: bool = False) -> None:
        if self.table.seq == self._told and not force:
            return
        self._told = self.table.seq
        self.events.note(self.table.entries.values(), self.now_ns())
        self._changed.set()
        self._changed = asyncio.Event()
        self.hold.pump()

    # Drains

    def _drain(self, replica: str) -> None:
        deadlines = self.table.entries[replica].route.deadlines
        assert deadlines is not None  # noqa: S101  retired
        self.pools[replica].close()
        self._forget_deadlines(replica)
        loop, now = asyncio.get_running_loop(), self.now_ns()
        self._deadlines[replica] = [
            loop.call_later(max(0.0, (deadlines.of(kind) - now) / 1e9), self._cut_off, replica, kind) for kind in Kind
        ]
        self._settle(replica)

    def _cut_off(self, replica: str, kind: Kind) -> None:
        for claim in [each for each in self.table.entries[replica].claims if each.kind is kind]:
            _cut(claim)

    def _settle(self, replica: str) -> None:
        """Make a drained replica removable, once no connection to it is left."""
        entry = self.table.entries.get(replica)
        if entry is None or entry.route.place is not Place.DRAINING or entry.in_flight:
            return
        self._stop_probing(replica)
        pool = self.pools[replica]
        pool.close()
        if pool.connections == 0:
            self._forget_deadlines(replica)
            self.table.emptied(replica)
            self.counts.drain_seconds.add((self.now_ns() - (entry.route.retired_ns or 0)) / 1e9)
        self._announce()

    def _forget_deadlines(self, replica: str) -> None:
        for timer in self._deadlines.pop(replica, ()):
            timer.cancel()

    # Probes

    def _attend(self, route: Route) -> None:
        self.pools[route.replica] = Pool(route.address, lambda: self._settle(route.replica))
        if route.place is not Place.REMOVABLE:
            self._probe(route)

    def _probe(self, route: Route) -> None:
        if route.replica in self._probers:
            return
        entry = self.table.entries[route.replica]

        def record(probe: Probe) -> None:
            if self.table.entries.get(route.replica) is entry:
                self.table.observe(route.replica, probe)
                self._announce()

        self._probers[route.replica] = Prober(
            route,
            self.pools[route.replica],
            record=record,
            pause_ms=lambda: pause_ms(entry.standing, route.readiness),
        )

    def _stop_probing(self, replica: str) -> None:
        prober = self._probers.pop(replica, None)
        if prober is not None:
            prober.cancel()


def _cut(claim: Claim) -> None:
    if claim.open and claim.cut is not None:
        claim.cut()


def _restored(kept: Kept, now_ns: int) -> Leases:
    """A lease outlives the proxy's restart by its whole time: nobody slips in while its owner cannot renew it."""
    if kept.owner is None:
        return Leases(fence=kept.fence)
    expires = now_ns + kept.ttl_ms * 1_000_000
    return Leases(
        fence=kept.fence,
        last=Lease(owner=kept.owner, fence=kept.fence, ttl_ms=kept.ttl_ms, expires_ns=expires),
    )
