"""One request: which replicas are asked, one after another, until one answers or none may be asked any more."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import StreamReader

from proxy.client import ClientConnection
from proxy.ended import REPLICAS_FAULT, Ended
from proxy.exchange import Exchange, Surroundings
from proxy.fields import Framing
from proxy.hold import HoldFullError, HoldTimeoutError, LeftError
from proxy.ledger import Result
from proxy.pool import ConnectFailedError, Pool
from proxy.requests import SAFE, Inbound
from proxy.retry import Budget, Replay, may_connect_elsewhere, may_repeat
from proxy.routing import Claim, Entry

# What aiohttp may have read of a body before anybody asks for it.
_READ_AHEAD = 128 * 1024
_NEVER = float("inf")


class Proxy(Surroundings, Protocol):
    @property
    def budget(self) -> Budget: ...


class Forwarding:
    """`at_once` if it can be begun without waiting for anything; else, and to go on after it, `run`."""

    # What only a request has that is not answered at once is a default of the class: each is made very often.
    _replay: Replay | None = None
    _tried: tuple[str, ...] = ()
    _claim: Claim | None = None
    _last: Ended | None = None
    _failing: Entry | None = None
    _attempts = _repeats = 0
    _owes = False

    def __init__(
        self, proxy: Proxy, client: ClientConnection, content: StreamReader, inbound: Inbound, *, started: float
    ) -> None:
        self._proxy = proxy
        self._gateway = proxy.gateway
        self.client = client
        self._content = content
        self.inbound = inbound
        self.started = started
        # The listening socket of a replica that is about to go is the first thing it closes: that a connection can be
        # made shows that it is not yet going, that one is still open does not.
        self._fresh = proxy.gateway.table.in_transition and inbound.method not in SAFE
        total = proxy.limits.total_seconds
        self._give_up_at = started + total if total else _NEVER

    def at_once(self, on_end: Callable[[Exchange, Ended], None]) -> bool:
        """Begin the first attempt if a kept connection to a replica is at hand and all of the request is here."""
        if self.inbound.framing is not Framing.NONE:
            if not self._content.is_eof() or self._content.exception() is not None:
                return False
            self._replay = Replay(keeps=self.inbound.may_repeat)
        claim = self._claim = self._gateway.claim(())
        if claim is None or self._fresh:
            return False
        pool = self._gateway.pools[claim.replica]
        connection = pool.take(self.started, safe=self.inbound.method in SAFE)
        if connection is None:
            return False
        self._claim = None
        self._gateway.counts.reused += 1
        exchange = self._exchange(claim, on_end)
        exchange.begin(reused=True)
        exchange.send(connection, pool)
        return True

    def may_go_on(self, ended: Ended, exchange: Exchange) -> bool:
        """Whether an attempt that failed is followed by another; if so, `run` makes it."""
        if ended.answered:
            return False
        if self.client.gone or not self._policy_allows(ended.result, reused=exchange.reused):
            _failed_on(exchange.claim.entry, ended)
            return False
        self._gateway.counts.retries[ended.result.value] += 1
        self._last, self._failing = ended, exchange.claim.entry
        self._tried = (*self._tried, exchange.claim.replica)
        self._fresh = True
        return True

    async def run(self) -> Ended:
        try:
            claim = self._claim or self._next()
            while True:
                if claim is None:
                    held = await self._held()
                    if isinstance(held, Ended):
                        return held
                    claim = held
                exchange = await self._attempt(claim)
                ended = exchange.ended
                if ended is None or not self.may_go_on(ended, exchange):
                    return ended or Ended(Result.CLIENT_GONE, answered=True)
                claim = self._next()
        finally:
            self._budget_back()

    async def _attempt(self, claim: Claim) -> Exchange:
        if self._replay is None and self.inbound.framing is not Framing.NONE:
            self._replay = Replay(keeps=self.inbound.may_repeat)
        done: asyncio.Future[None] = self._proxy.loop.create_future()

        def tell(_exchange: Exchange, _ended: Ended) -> None:
            if not done.done():
                done.set_result(None)

        exchange = self._exchange(claim, tell)
        exchange.on_answer = self._budget_back
        # Removed since it was claimed: whoever waited for its turn comes here one step of the loop later.
        pool = self._gateway.pools.get(claim.replica)
        if pool is None:
            exchange.begin(reused=False)
            exchange.fail_to_connect(ConnectFailedError("its route was removed"))
        else:
            await self._send(exchange, pool)
        try:
            await done
        finally:
            exchange.client_gone()
        await exchange.body_left()
        return exchange

    async def _send(self, exchange: Exchange, pool: Pool) -> None:
        safe = self.inbound.method in SAFE
        connection = None if self._fresh else pool.take(self._proxy.loop.time(), safe=safe)
        exchange.begin(reused=connection is not None)
        try:
            if connection is None:
                self._gateway.counts.connected += 1
                connection = await pool.connect(self._proxy.limits.connect_seconds)
            else:
                self._gateway.counts.reused += 1
            exchange.send(connection, pool)
        except ConnectFailedError as error:
            exchange.fail_to_connect(error)

    def _exchange(self, claim: Claim, on_end: Callable[[Exchange, Ended], None]) -> Exchange:
        self._attempts += 1
        return Exchange(
            self._proxy,
            self.client,
            self._content,
            self.inbound,
            claim,
            on_end,
            attempt=self._attempts,
            replay=self._replay,
            give_up_at=self._give_up_at,
        )

    def _policy_allows(self, result: Result, *, reused: bool) -> bool:
        if may_connect_elsewhere(result, attempt=self._attempts, attempts=self._proxy.limits.attempts):
            return True
        replayable = self._replay is None or self._replay.possible
        if not may_repeat(result, repeatable=self.inbound.may_repeat, replayable=replayable, repeats=self._repeats):
            return False
        # A kept connection that closes is no sign of a failing replica: only what fails on a new one is a storm.
        if not reused:
            if not self._proxy.budget.take(self._gateway.counts.in_flight):
                return False
            self._owes = True
        self._repeats += 1
        return True

    def _budget_back(self) -> None:
        """The repeat is over as such: its answer has begun, or there will be none."""
        if self._owes:
            self._owes = False
            self._proxy.budget.give_back()

    def _next(self) -> Claim | None:
        """Another replica; of a repeat also the same, for a connection of its own proves that it serves."""
        claim = self._gateway.claim(self._tried)
        if claim is None and self._repeats:
            self._tried = ()
            claim = self._gateway.claim(self._tried)
        return claim

    async def _held(self) -> Claim | Ended:
        hold, counts, inbound = self._gateway.hold, self._gateway.counts, self.inbound
        if not hold.enabled:
            if self._last is None or self._failing is None:
                return self._nobody("no-ready-replica", 503, "no replica is ready")
            _failed_on(self._failing, self._last)
            return self._last
        body = _READ_AHEAD if inbound.framing is Framing.CHUNKED else min(inbound.length, _READ_AHEAD)
        since = self._proxy.loop.time()
        try:
            return await hold.wait(self._tried, len(inbound.onward) + body, self.client)
        except HoldFullError:
            return self._nobody("hold-full", 503, "no replica is ready, and there is no room to wait for one")
        except HoldTimeoutError:
            return self._nobody("hold-timeout", 504, f"no replica became ready within {hold.seconds:g} s")
        except LeftError:
            self._gateway.ledger.reject(inbound.request_id, "client-gone", 0)
            return Ended(Result.CLIENT_GONE, answered=True)
        finally:
            self.client.serving = None
            counts.held_seconds.add(self._proxy.loop.time() - since)

    def _nobody(self, reason: str, status: int, message: str) -> Ended:
        self._gateway.ledger.reject(self.inbound.request_id, reason, status)
        return Ended(Result.CONNECT_FAILED, answered=False, status=status, reason=reason, message=message)


def _failed_on(entry: Entry, ended: Ended) -> None:
    """Count a request that ends with an attempt to which the replica gave no answer."""
    if ended.result in REPLICAS_FAULT:
        entry.requests += 1
        entry.errors += 1
