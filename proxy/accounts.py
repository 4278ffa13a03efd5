"""How an attempt ends: all it was given is given back, the ledger and the counts are told, then its owner. Once."""

import asyncio
from typing import Any, Protocol

from proxy.body import Body
from proxy.client import ClientConnection
from proxy.ended import REPLICAS_FAULT, Ended
from proxy.ledger import Attempt, Result
from proxy.pool import Pool
from proxy.routing import Claim
from proxy.surroundings import Surroundings
from proxy.tunnel import Tunnel
from proxy.upstream import UpstreamConnection

_NEVER = float("inf")
_SERVER_ERROR = 500
# Asking the enum costs more than the count that is decided by it.
_OK = Result.OK


class Owner(Protocol):
    """Who made the attempt, and goes on after it."""

    def attempt_ended(self, exchange: Any, ended: Ended) -> None: ...


class Accounted(Attempt):
    """An attempt with what it was given. `ended` and `deadline` are there for who looks after all of them."""

    __slots__ = (
        "_body",
        "_connection",
        "_cutting",
        "_down",
        "_loop",
        "_owner",
        "_pool",
        "_pump",
        "_sent_all",
        "_status",
        "_tunnel",
        "_world",
        "claim",
        "client",
        "deadline",
        "ended",
    )

    _body: Body | None
    _connection: UpstreamConnection | None
    _cutting: asyncio.TimerHandle | None
    _down: int
    _loop: asyncio.AbstractEventLoop
    _owner: Owner
    _pool: Pool | None
    _pump: asyncio.Task[None] | None
    _sent_all: bool
    _status: int
    _tunnel: Tunnel | None
    _world: Surroundings
    claim: Claim
    client: ClientConnection
    deadline: float
    ended: Ended | None

    def _end(self, ended: Ended) -> None:
        """Give everything back, tell the ledger, and whoever waits: once."""
        if self.ended is not None:
            return
        self.ended = ended
        self.deadline = _NEVER
        world, claim, result = self._world, self.claim, ended.result
        gateway = world.gateway
        world.attempts_under_way.discard(self)
        # No cycle is left behind: the collector of cycles would have to run for every few requests.
        claim.cut = None
        self.client.serving = self._tunnel
        self._let_go(ended)
        status, tunnel = self._status, self._tunnel
        if status:
            # An answer that has begun is the request's last attempt. What has none is counted by who knows that it was.
            entry = claim.entry
            entry.requests += 1
            if status >= _SERVER_ERROR or (result is not _OK and result in REPLICAS_FAULT):
                entry.errors += 1
        else:
            status = ended.status
        up, down = 0, self._down
        if self._body is not None:
            up = self._body.size
            self._body = None
        if tunnel is not None:
            up, down = tunnel.up, tunnel.down
        gateway.ledger.end(self, result, status, up, down)
        counts = gateway.counts
        counts.bytes_up += up
        counts.bytes_down += down
        gateway.release(claim, result)
        self._owner.attempt_ended(self, ended)

    def _let_go(self, ended: Ended) -> None:
        """Give the connection back if all went well and all was sent; otherwise nobody else can use it."""
        if self._cutting is not None:
            self._cutting.cancel()
        if self._pump is not None:
            self._pump.cancel()
        connection, pool = self._connection, self._pool
        if connection is None or ended.tunnel is not None:
            return
        if ended.result is _OK and self._sent_all and pool is not None:
            entry = self.claim.entry
            if entry.standing.errors:
                self._world.gateway.table.answered(entry)
            pool.put(connection, self._loop.time())
        else:
            connection.abort()

    async def body_left(self) -> None:
        """Wait until nobody reads the client's body any more."""
        if self._pump is not None:
            await asyncio.wait({self._pump})
