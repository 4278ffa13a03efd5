"""The shell around the routing table: a change is made, written down and told to all in one step of the event loop."""

import asyncio
import sys
import time
from collections.abc import Callable

from proxy.errors import NotSavedError
from proxy.lease import Lease, Leases, Owner
from proxy.ledger import Ledger
from proxy.pool import Pool
from proxy.prober import probe_for_ever
from proxy.readiness import Probe, pause_ms
from proxy.routing import Claim, Route, RoutingTable
from proxy.statefile import Kept, StateFile
from proxy.transitions import Place

# Routine changes (health, in-flight) raise `seq` without being written: after a restart it goes on from beyond them.
_SEQ_LEAP = 1_000_000


class Gateway:
    def __init__(self, store: StateFile, ledger: Ledger, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._store = store
        self._clock = clock
        self._probers: dict[str, asyncio.Task[None]] = {}
        self._deadlines: dict[str, asyncio.TimerHandle] = {}
        self._cuts: dict[Claim, Callable[[], None]] = {}
        self._changed = asyncio.Event()
        self._closed = False
        self._told = 0
        self.ledger = ledger
        self.pools: dict[str, Pool] = {}
        kept = store.load()
        seq = kept.seq + _SEQ_LEAP if kept.epoch or kept.fence else 0
        self.table = RoutingTable(kept.routes, epoch=kept.epoch, seq=seq)
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
        for prober in probers:
            prober.cancel()
        for timer in self._deadlines.values():
            timer.cancel()
        for pool in self.pools.values():
            pool.abort()
        await asyncio.gather(*probers, return_exceptions=True)
        self.ledger.suspend()

    def now_ns(self) -> int:
        return self._clock()

    # What the data plane does

    def claim(self, exclude: set[str], cut: Callable[[], None]) -> Claim | None:
        """Claim a replica; `cut` is called if the drain deadline comes before the release."""
        claim = self.table.claim(exclude)
        if claim is not None:
            self._cuts[claim] = cut
        return claim

    def release(self, claim: Claim, *, aborted: bool) -> None:
        del self._cuts[claim]
        self.table.release(claim, aborted=aborted)
        if claim.entry.in_flight == 0 and claim.entry.route.place is Place.DRAINING:
            self._settle(claim.replica)

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
        self._change(fence, lambda: self.table.admit(replica))

    def retire(self, fence: int, replica: str, deadline_ms: int) -> None:
        now = self.now_ns()
        deadline = now + deadline_ms * 1_000_000
        self._change(fence, lambda: self.table.retire(replica, now_ns=now, deadline_ns=deadline))
        if self.table.entries[replica].route.place is Place.DRAINING:
            self._drain(replica)

    def restore(self, fence: int, replica: str) -> None:
        self._change(fence, lambda: self.table.restore(replica))
        self._deadlines.pop(replica).cancel()
        self.pools[replica].reopen()
        self._probe(self.table.entries[replica].route)

    def remove(self, fence: int, replica: str, *, lost: bool) -> None:
        self._change(fence, lambda: self.table.remove(replica, lost=lost))
        self._stop_probing(replica)
        if replica in self._deadlines:
            self._deadlines.pop(replica).cancel()
        if replica in self.pools:
            # Its address may belong to another container at once: nothing may stay open to it.
            self.pools.pop(replica).abort()

    def open_run(self, fence: int, run: str) -> None:
        self.leases.check(fence, self.now_ns())
        try:
            self.ledger.open(run)
        except OSError as error:
            raise NotSavedError(f"the ledger of run {run} cannot be opened: {error}") from error
        self._save()
        self._observable()

    def close_run(self, fence: int) -> None:
        self.leases.check(fence, self.now_ns())
        self.ledger.close()
        self._save()
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
        if self.table.seq != self._told or force:
            self._told = self.table.seq
            self._changed.set()
            self._changed = asyncio.Event()

    # Drains

    def _drain(self, replica: str) -> None:
        route = self.table.entries[replica].route
        self.pools[replica].close()
        if replica in self._deadlines:
            self._deadlines.pop(replica).cancel()
        seconds = max(0.0, ((route.deadline_ns or 0) - self.now_ns()) / 1e9)
        loop = asyncio.get_running_loop()
        self._deadlines[replica] = loop.call_later(seconds, self._cut_off, replica)
        self._settle(replica)

    def _cut_off(self, replica: str) -> None:
        for claim, cut in list(self._cuts.items()):
            if claim.replica == replica:
                cut()

    def _settle(self, replica: str) -> None:
        """Make a drained replica removable, once no connection to it is left."""
        entry = self.table.entries.get(replica)
        if entry is None or entry.route.place is not Place.DRAINING or entry.in_flight:
            return
        self._stop_probing(replica)
        pool = self.pools[replica]
        pool.close()
        if pool.connections == 0:
            self._deadlines.pop(replica).cancel()
            self.table.emptied(replica)
        self._announce()

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

        self._probers[route.replica] = asyncio.create_task(
            probe_for_ever(
                route,
                self.pools[route.replica],
                record=record,
                pause_ms=lambda: pause_ms(entry.standing, route.readiness),
            )
        )

    def _stop_probing(self, replica: str) -> None:
        prober = self._probers.pop(replica, None)
        if prober is not None:
            prober.cancel()


def _restored(kept: Kept, now_ns: int) -> Leases:
    """A lease outlives the proxy's restart by its whole time: nobody slips in while its owner cannot renew it."""
    if kept.owner is None:
        return Leases(fence=kept.fence)
    expires = now_ns + kept.ttl_ms * 1_000_000
    return Leases(
        fence=kept.fence,
        last=Lease(owner=kept.owner, fence=kept.fence, ttl_ms=kept.ttl_ms, expires_ns=expires),
    )
