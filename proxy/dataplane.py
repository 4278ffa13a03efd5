"""The data plane: aiohttp's low-level server in front, one attempt after another behind it."""

import asyncio
import logging
import os
import uuid
from collections.abc import Callable
from itertools import count

from aiohttp import web

from proxy.client import CLOSE, KEEP, ClientConnection, ClientRequest, Written, peers
from proxy.exchange import Ended, Exchange
from proxy.forwarding import Forwarding
from proxy.gateway import Gateway
from proxy.ledger import Result
from proxy.requests import Inbound, Refusal, RequestReader
from proxy.responses import proxy_made
from proxy.retry import Budget
from proxy.settings import Limits

# How often time-outs are looked at: one timer for all requests, not one for each.
_SWEEP_SECONDS = 0.05
# A request may be on its way on a kept connection when the proxy is told to stop: it is waited for this long.
_LINGER_SECONDS = 0.25
_OK = 200
# After these nobody can say where the next request begins.
_CLOSING = frozenset({"bad-request", "header-timeout", "body-too-large"})

_log = logging.getLogger("proxy")


def request_ids() -> Callable[[], bytes]:
    """Return ids no other proxy makes: counting costs less than drawing each at random."""
    prefix, numbers = uuid.uuid4().hex[:16].encode(), count(1)
    return lambda: b"%b-%x" % (prefix, next(numbers))


class DataPlane:
    def __init__(
        self, gateway: Gateway, limits: Limits | None = None, *, new_id: Callable[[], bytes] | None = None
    ) -> None:
        self.gateway = gateway
        self.limits = limits or Limits()
        self.pseudonym = self.limits.pseudonym.encode()
        self.via = b"Via: 1.1 " + self.pseudonym + b"\r\n"
        self.closing = False
        self.attempts_under_way: set[Exchange] = set()
        self.trusts = peers(self.limits.trusted_peers)
        self._new_id = new_id or request_ids()
        self._reader = RequestReader(
            header_bytes=self.limits.header_bytes,
            header_count=self.limits.header_count,
            body_bytes=self.limits.body_bytes,
            pseudonym=self.pseudonym,
            new_id=self._new_id,
        )
        self.budget = Budget()
        self._server = _Server(self)
        self._listener: asyncio.Server | None = None
        self._connections: set[ClientConnection] = set()
        self._busy: set[ClientConnection] = set()
        self._quiet = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, host, port, backlog=4096)
        self._sweep()
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self, seconds: float) -> None:
        """Accept nothing more, answer what is on its way, let requests in flight finish as long as there is time."""
        self.closing = True
        if self._listener is not None:
            self._listener.close()
        await asyncio.sleep(min(_LINGER_SECONDS, seconds))
        for connection in self._connections - self._busy:
            connection.close()
        self._check_quiet()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            _log.warning("%d requests did not finish within %g s and are cut", len(self._busy), seconds)
        await self._server.shutdown(timeout=0.1)
        if self._sweeper is not None:
            self._sweeper.cancel()

    def mask(self) -> bytes:
        return os.urandom(4)

    # What the connections ask

    def connected(self, connection: ClientConnection) -> bool:
        self._connections.add(connection)
        return len(self._connections) <= self.limits.connections

    def disconnected(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)

    def refuse(self, connection: ClientConnection, status: int, reason: str, message: str) -> None:
        """Answer what never became a request."""
        request_id, counts = self._new_id(), self.gateway.counts
        if reason == "too-many-connections":
            counts.refused_connections += 1
        else:
            counts.begin()
            counts.end(reason, 0.0)
            self.gateway.ledger.reject(request_id, reason, status)
        connection.send(proxy_made(status, reason, message, request_id, keep_alive=False, head_only=False))

    # A request

    async def handle(self, request: ClientRequest) -> Written:
        client, counts = request.protocol, self.gateway.counts
        loop = asyncio.get_running_loop()
        started = loop.time()
        counts.begin()
        self._busy.add(client)
        outcome = "failed"
        try:
            outcome, keep_alive = await self._answer(request, client, started)
        except Exception:  # noqa: BLE001  aiohttp would write its 500 into the answer
            _log.exception("a request could not be handled: its connection is cut")
            client.abort(reset=True)
            return CLOSE
        finally:
            self._busy.discard(client)
            counts.end(outcome, loop.time() - started)
            if self.closing:
                self._check_quiet()
        if not keep_alive or self.closing:
            return CLOSE
        if client.writing_paused:
            await self._written_out(client)
        return KEEP

    async def _answer(self, request: ClientRequest, client: ClientConnection, started: float) -> tuple[str, bool]:
        message = request.message
        request_id, found = self._reader.read(
            message.method.encode(),
            message.path.encode("utf-8", "surrogateescape"),
            message.raw_headers,
            keep_alive=not message.should_close,
            http10=message.version < (1, 1),
            upgrade=message.upgrade,
        )
        if isinstance(found, Refusal):
            self.gateway.ledger.reject(request_id, found.reason, found.status)
            return self._own(
                client, found.status, found.reason, found.message, request_id=request_id, method=message.method
            )
        if found.max_forwards == 0:
            return self._own(
                client,
                _OK,
                "answered-here",
                "",
                request_id=request_id,
                method=message.method,
                keep_alive=found.keep_alive,
            )
        ended = await Forwarding(self, client, request.content, found, started=started).run()
        return await self._conclude(client, found, ended)

    async def _conclude(self, client: ClientConnection, inbound: Inbound, ended: Ended) -> tuple[str, bool]:
        if ended.tunnel is not None:
            if ended.result is Result.CUT:
                await ended.tunnel.farewell()
            return ended.result.value, False
        if ended.answered:
            return ended.result.value, ended.keep_alive
        # A body that waits for its 100 may still come, or never: only the end of the connection is clear.
        keep_alive = inbound.keep_alive and not inbound.expects_continue and ended.reason not in _CLOSING
        return self._own(
            client,
            ended.status,
            ended.reason,
            ended.message,
            request_id=inbound.request_id,
            method=inbound.method.decode(),
            keep_alive=keep_alive,
        )

    def _own(
        self,
        client: ClientConnection,
        status: int,
        reason: str,
        message: str,
        *,
        request_id: bytes,
        method: str,
        keep_alive: bool = False,
    ) -> tuple[str, bool]:
        keep_alive = keep_alive and not self.closing
        head_only = method == "HEAD"
        client.send(proxy_made(status, reason, message, request_id, keep_alive=keep_alive, head_only=head_only))
        return reason, keep_alive

    async def _written_out(self, client: ClientConnection) -> None:
        """Begin nothing more for a client that does not take what it was given."""
        try:
            async with asyncio.timeout(self.limits.client_seconds):
                await client.drained()
        except (TimeoutError, ConnectionError):
            client.abort()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for exchange in [each for each in self.attempts_under_way if each.deadline <= now]:
            exchange.expire()
        for pool in self.gateway.pools.values():
            pool.expire(now)
        self._sweeper = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _check_quiet(self) -> None:
        if self.closing and not self._busy:
            self._quiet.set()


class _Server(web.Server):
    def __init__(self, plane: DataPlane) -> None:
        # A request's factory and handler are duck-typed on aiohttp's side: see `ClientRequest` and `Written`.
        super().__init__(plane.handle, request_factory=ClientRequest)  # type: ignore[arg-type]
        self._plane = plane

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(self._plane, self, asyncio.get_running_loop())
