"""One request: which replicas are asked, one after another, until one answers or none may be asked any more."""

import asyncio
from typing import Protocol

from aiohttp import StreamReader

from proxy.client import ClientConnection
from proxy.exchange import Ended, Exchange, Surroundings
from proxy.fields import Framing
from proxy.hold import HoldFullError, HoldTimeoutError, LeftError
from proxy.ledger import Result
from proxy.requests import SAFE, Inbound
from proxy.retry import Budget, Replay, may_connect_elsewhere, may_repeat
from proxy.routing import Claim

# What aiohttp may have read of a body before anybody asks for it.
_READ_AHEAD = 128 * 1024


class Proxy(Surroundings, Protocol):
    @property
    def budget(self) -> Budget: ...


class Forwarding:
    def __init__(
        self, proxy: Proxy, client: ClientConnection, content: StreamReader, inbound: Inbound, *, started: float
    ) -> None:
        self._proxy = proxy
        self._gateway = proxy.gateway
        self._client = client
        self._content = content
        self._inbound = inbound
        self._replay = Replay(keeps=inbound.may_repeat)
        self._tried: list[str] = []
        self._last: Ended | None = None
        self._attempts = self._repeats = 0
        # The listening socket of a replica that is about to go is the first thing it closes: that a connection can be
        # made shows that it is not yet going, that one is still open does not.
        self._fresh = proxy.gateway.table.in_transition and inbound.method not in SAFE
        total = proxy.limits.total_seconds
        self._give_up_at = started + total if total else float("inf")

    async def run(self) -> Ended:
        try:
            claim = self._gateway.claim(self._tried)
            while True:
                if claim is None:
                    held = await self._held()
                    if isinstance(held, Ended):
                        return held
                    claim = held
                ended = await self._attempt(claim)
                if ended.answered or self._client.gone or not self._may_go_on(ended.result):
                    return ended
                self._gateway.counts.retries[ended.result.value] += 1
                self._last = ended
                self._tried.append(claim.replica)
                self._fresh = True
                claim = self._next()
        finally:
            if self._repeats:
                self._proxy.budget.give_back()

    async def _attempt(self, claim: Claim) -> Ended:
        self._attempts += 1
        exchange = Exchange(
            self._proxy,
            self._client,
            self._content,
            self._inbound,
            self._replay,
            attempt=self._attempts,
            forwarding=self._client.forwarding(self._inbound.host, self._inbound.forwarded),
            give_up_at=self._give_up_at,
        )
        return await exchange.run(claim, fresh=self._fresh)

    def _may_go_on(self, result: Result) -> bool:
        limits = self._proxy.limits
        if may_connect_elsewhere(result, attempt=self._attempts, attempts=limits.attempts):
            return True
        repeatable = self._inbound.may_repeat
        if not may_repeat(result, repeatable=repeatable, replayable=self._replay.possible, repeats=self._repeats):
            return False
        if not self._proxy.budget.take(self._gateway.counts.in_flight):
            return False
        self._repeats += 1
        return True

    def _next(self) -> Claim | None:
        """Another replica; of a repeat also the same, for a connection of its own proves that it serves."""
        claim = self._gateway.claim(self._tried)
        if claim is None and self._repeats:
            self._tried.clear()
            claim = self._gateway.claim(self._tried)
        return claim

    async def _held(self) -> Claim | Ended:
        hold, counts, inbound = self._gateway.hold, self._gateway.counts, self._inbound
        if not hold.enabled:
            return self._last or self._nobody("no-ready-replica", 503, "no replica is ready")
        body = _READ_AHEAD if inbound.framing is Framing.CHUNKED else min(inbound.length, _READ_AHEAD)
        loop = asyncio.get_running_loop()
        since = loop.time()
        try:
            return await hold.wait(self._tried, len(inbound.onward) + body, self._client)
        except HoldFullError:
            return self._nobody("hold-full", 503, "no replica is ready, and there is no room to wait for one")
        except HoldTimeoutError:
            return self._nobody("hold-timeout", 504, f"no replica became ready within {hold.seconds:g} s")
        except LeftError:
            self._gateway.ledger.reject(inbound.request_id, "client-gone", 0)
            return Ended(result=Result.CLIENT_GONE, answered=True)
        finally:
            self._client.serving = None
            counts.held_seconds.add(loop.time() - since)

    def _nobody(self, reason: str, status: int, message: str) -> Ended:
        self._gateway.ledger.reject(self._inbound.request_id, reason, status)
        return Ended(result=Result.CONNECT_FAILED, answered=False, status=status, reason=reason, message=message)
