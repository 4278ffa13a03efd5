"""One request: which replicas are asked, one after another, until one answers or none may be asked any more."""

import asyncio
from typing import Protocol

from aiohttp import StreamReader

from proxy.accounts import Owner
from proxy.client import ClientConnection
from proxy.ended import REPLICAS_FAULT, Ended
from proxy.exchange import Exchange
from proxy.fields import Framing
from proxy.hold import HoldFullError, HoldTimeoutError, LeftError
from proxy.ledger import Result
from proxy.pool import ConnectFailedError, Pool
from proxy.requests import SAFE, Inbound
from proxy.retry import Budget, Replay, may_connect_elsewhere, may_repeat
from proxy.routing import Claim, Entry
from proxy.surroundings import Surroundings

# What aiohttp may have read of a body before anybody asks for it.
_READ_AHEAD = 128 * 1024
_NO_BODY = Framing.NONE


class Proxy(Surroundings, Owner, Protocol):
    @property
    def budget(self) -> Budget: ...


def at_once(
    proxy: Proxy, client: ClientConnection, content: StreamReader, inbound: Inbound, started: float
) -> "Forwarding | None":
    """Begin the first attempt if a kept connection to a replica is at hand and all of the request is here.

    Most requests need no more than that. Else return what is to be run; the proxy itself owns an attempt begun here.
    """
    replay = None
    if inbound.framing is not _NO_BODY:
        if not content.is_eof() or content.exception() is not None:
            return Forwarding(proxy, client, content, inbound, started)
        replay = Replay(keeps=inbound.may_repeat)
    gateway = proxy.gateway
    claim = gateway.claim(())
    if claim is None:
        return Forwarding(proxy, client, content, inbound, started)
    safe = inbound.method in SAFE
    if safe or not gateway.table.in_transition:
        pool = gateway.pools[claim.replica]
        connection = pool.take(started, safe)
        if connection is not None:
            gateway.counts.reused += 1
            exchange = Exchange(proxy, proxy, client, content, inbound, claim, 1, replay, started)
            exchange.begin(reused=True)
            exchange.send(connection, pool, started)
            return None
    forwarding = Forwarding(proxy, client, content, inbound, started)
    forwarding.claimed = claim
    return forwarding


class Forwarding:
    """A request for which something has to be waited, or that goes on `after` an attempt begun at once: `run` it."""

    def __init__(
        self, proxy: Proxy, client: ClientConnection, content: StreamReader, inbound: Inbound, started: float
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
        self.claimed: Claim | None = None
        self._replay: Replay | None = None
        self._tried: tuple[str, ...] = ()
        self._last: Ended | None = None
        self._failing: Entry | None = None
        self._attempts = self._repeats = 0
        self._owes = False
        self._done: asyncio.Future[None] | None = None

    @classmethod
    def after(cls, proxy: Proxy, exchange: Exchange) -> "Forwarding":
        """Return it as it is after its first attempt."""
        made = cls(proxy, exchange.client, exchange.content, exchange.inbound, exchange.started)
        made._attempts, made._replay = exchange.attempt, exchange.replay
        return made

    def may_go_on(self, ended: Ended, exchange: Exchange) -> bool:
        """Whether an attempt that failed is followed by another; if so, `run` makes it."""
        if ended.answered:
            return False
        if self.client.transport is None or not self._policy_allows(ended.result, reused=exchange.reused):
            _failed_on(exchange.claim.entry, ended)
            return False
        self._gateway.counts.retries[ended.result.value] += 1
        self._last, self._failing = ended, exchange.claim.entry
        self._tried = (*self._tried, exchange.claim.replica)
        self._fresh = True
        return True

    async def run(self) -> Ended:
        try:
            claim = self.claimed or self._next()
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
        done = self._done = self._proxy.loop.create_future()
        self._attempts += 1
        exchange = Exchange(
            self._proxy,
            self,
            self.client,
            self._content,
            self.inbound,
            claim,
            self._attempts,
            self._replay,
            self.started,
        )
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

    def attempt_ended(self, _exchange: Exchange, _ended: Ended) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def _send(self, exchange: Exchange, pool: Pool) -> None:
        safe = self.inbound.method in SAFE
        connection = None if self._fresh else pool.take(self._proxy.loop.time(), safe)
        exchange.begin(reused=connection is not None)
        try:
            if connection is None:
                self._gateway.counts.connected += 1
                connection = await pool.connect(self._proxy.limits.connect_seconds)
            else:
                self._gateway.counts.reused += 1
            exchange.send(connection, pool, self._proxy.loop.time())
        except ConnectFailedError as error:
            exchange.fail_to_connect(error)

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
