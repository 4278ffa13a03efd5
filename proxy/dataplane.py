"""The data plane: aiohttp's low-level server in front, one attempt after another behind it."""

import asyncio
import logging
import os
import uuid
from collections.abc import Callable
from itertools import count

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD

from proxy.client import ClientConnection, peers
from proxy.ended import Ended
from proxy.exchange import Exchange
from proxy.forwarding import Forwarding, at_once
from proxy.gateway import Gateway
from proxy.ledger import Result
from proxy.outbox import Outbox
from proxy.requests import Inbound, Refusal, RequestReader
from proxy.responses import proxy_made
from proxy.retry import Budget
from proxy.settings import Limits

# How often time-outs are looked at: one timer for all requests, not one for each.
_SWEEP_SECONDS = 0.05
_IDLE_SWEEP_SECONDS = 1.0
# A request may be on its way on a kept connection when the proxy is told to stop: it is waited for this long.
_LINGER_SECONDS = 0.25
_STATUS_OK = 200
_OK = Result.OK
# After these nobody can say where the next request begins.
_CLOSING = frozenset({"bad-request", "header-timeout", "body-too-large"})

_log = logging.getLogger("proxy")


def request_ids() -> Callable[[], bytes]:
    """Return ids no other proxy makes: counting costs less than drawing each at random."""
    prefix, following = uuid.uuid4().hex[:16].encode(), count(1).__next__
    return lambda: b"%b-%d" % (prefix, following())


class DataPlane:
    def __init__(
        self, gateway: Gateway, limits: Limits | None = None, *, new_id: Callable[[], bytes] | None = None
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.gateway = gateway
        self.limits = limits or Limits()
        self.pseudonym = self.limits.pseudonym.encode()
        self.via = b"Via: 1.1 " + self.pseudonym + b"\r\n"
        self.closing = False
        self.attempts_under_way: set[Exchange] = set()
        self.outbox = Outbox(self.loop)
        self.trusts = peers(self.limits.trusted_peers)
        self.budget = Budget()
        self._new_id = new_id or request_ids()
        self._reader = RequestReader(
            request_line=self.limits.request_line,
            header_bytes=self.limits.header_bytes,
            header_count=self.limits.header_count,
            body_bytes=self.limits.body_bytes,
            pseudonym=self.pseudonym,
            new_id=self._new_id,
        )
        self._server = _Server(self)
        self._listener: asyncio.Server | None = None
        self._connections: set[ClientConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._quiet = asyncio.Event()
        self._sweeper: asyncio.TimerHandle | None = None
        self._idle_check = 0.0

    async def start(self, host: str, port: int) -> int:
        self._listener = await self.loop.create_server(self._server, host, port, backlog=4096)
        self._sweep()
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self, seconds: float) -> None:
        """Accept nothing more, answer what is on its way, let requests in flight finish as long as there is time."""
        self.closing = True
        if self._listener is not None:
            self._listener.close()
        await asyncio.sleep(min(_LINGER_SECONDS, seconds))
        for connection in [each for each in self._connections if not each.busy]:
            connection.close_idle()
        self.gateway.cut_endless()
        self._check_quiet()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            _log.warning("%d requests did not finish within %g s", self.gateway.counts.in_flight, seconds)
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.shutdown(timeout=0.1)

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

    def begin(self, client: ClientConnection, message: RawRequestMessage, content: StreamReader) -> None:
        """Serve a request from the call that its last byte made, if nothing has to be waited for; else in a task."""
        started = self.loop.time()
        self.gateway.counts.begin()
        try:
            self._begin(client, message, content, started)
        except Exception:  # noqa: BLE001  the event loop would only log it, and the client wait for ever
            self._broken(client, started)

    def begin_again(self, client: ClientConnection, inbound: Inbound) -> None:
        """Serve once more what was read before, to the last byte, from a client that gives its requests no ids."""
        started = self.loop.time()
        self.gateway.counts.begin()
        try:
            inbound.request_id = self._new_id()
            self._forward(client, EMPTY_PAYLOAD, inbound, started)
        except Exception:  # noqa: BLE001  as in `begin`
            self._broken(client, started)

    # A request

    def _begin(
        self, client: ClientConnection, message: RawRequestMessage, content: StreamReader, started: float
    ) -> None:
        last, client.last = client.last, None
        request_id, found = self._reader.read(
            message.method.encode(),
            message.path.encode("utf-8", "surrogateescape"),
            message.raw_headers,
            not message.should_close,
            message.version,
            message.upgrade,
            last,
        )
        if isinstance(found, Refusal):
            self.gateway.ledger.reject(request_id, found.reason, found.status)
            ended = Ended(Result.OK, answered=False, status=found.status, reason=found.reason, message=found.message)
            self._own(client, ended, request_id, message.method.encode(), started, keep_alive=False)
        elif found.max_forwards == 0:
            ended = Ended(Result.OK, answered=False, status=_STATUS_OK, reason="answered-here")
            self._own(client, ended, request_id, found.method, started, keep_alive=found.keep_alive)
        else:
            client.last = found if found.fields else None
            self._forward(client, content, found, started)

    def _forward(self, client: ClientConnection, content: StreamReader, inbound: Inbound, started: float) -> None:
        forwarding = at_once(self, client, content, inbound, started)
        if forwarding is not None:
            self._in_task(forwarding)

    def attempt_ended(self, exchange: Exchange, ended: Ended) -> None:
        """Conclude after an attempt that was begun at once, or go on in a task."""
        if ended.result is _OK and ended.tunnel is None:
            self._finish(exchange.client, "ok", exchange.started, ended.keep_alive)
            return
        forwarding = Forwarding.after(self, exchange)
        if ended.tunnel is not None:
            self._in_task(forwarding, ended)
        elif forwarding.may_go_on(ended, exchange):
            self._in_task(forwarding)
        else:
            self._conclude(forwarding, ended)

    def _in_task(self, forwarding: Forwarding, ended: Ended | None = None) -> None:
        task = self.loop.create_task(self._run(forwarding, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, forwarding: Forwarding, ended: Ended | None) -> None:
        try:
            ended = ended or await forwarding.run()
            if ended.tunnel is not None and ended.result is Result.CUT:
                await ended.tunnel.farewell()
            self._conclude(forwarding, ended)
        except asyncio.CancelledError:
            forwarding.client.abort()
            self._finish(forwarding.client, "aborted_at_stop", forwarding.started, False)
            raise
        except Exception:  # noqa: BLE001  nobody waits for the task
            self._broken(forwarding.client, forwarding.started)

    def _conclude(self, forwarding: Forwarding, ended: Ended) -> None:
        client, inbound, started = forwarding.client, forwarding.inbound, forwarding.started
        if ended.answered:
            keep_alive = ended.keep_alive and ended.tunnel is None
            self._finish(client, ended.result.value, started, keep_alive)
            return
        # A body that waits for its 100 may still come, or never: only the end of the connection is clear.
        keep_alive = inbound.keep_alive and not inbound.expects_continue and ended.reason not in _CLOSING
        self._own(client, ended, inbound.request_id, inbound.method, started, keep_alive=keep_alive)

    def _own(
        self,
        client: ClientConnection,
        ended: Ended,
        request_id: bytes,
        method: bytes,
        started: float,
        *,
        keep_alive: bool,
    ) -> None:
        """Answer in the proxy's own name."""
        keep_alive = keep_alive and not self.closing
        head_only = method == b"HEAD"
        status, reason, message = ended.status, ended.reason, ended.message
        client.send(proxy_made(status, reason, message, request_id, keep_alive=keep_alive, head_only=head_only))
        self._finish(client, reason, started, keep_alive)

    def _broken(self, client: ClientConnection, started: float) -> None:
        _log.exception("a request could not be handled: its connection is cut")
        client.abort(reset=True)
        self._finish(client, "failed", started, False)

    def _finish(self, client: ClientConnection, outcome: str, started: float, keep_alive: bool) -> None:
        now = self.loop.time()
        self.gateway.counts.end(outcome, now - started)
        client.finished(keep_alive and not self.closing, now)
        if self.closing:
            self._check_quiet()

    def _sweep(self) -> None:
        """Look after all time-outs: one timer for everything costs less than one for each."""
        now = self.loop.time()
        for exchange in [each for each in self.attempts_under_way if each.deadline <= now]:
            exchange.expire()
        for pool in self.gateway.pools.values():
            pool.expire(now)
        if now >= self._idle_check:
            self._idle_check = now + _IDLE_SWEEP_SECONDS
            self._close_idle(now)
        self._sweeper = self.loop.call_later(_SWEEP_SECONDS, self._sweep)

    def _close_idle(self, now: float) -> None:
        for client in [each for each in self._connections if not each.busy]:
            stuck = client.stuck
            if now - client.idle_since > (self.limits.client_seconds if stuck else self.limits.idle_seconds):
                if stuck:
                    client.abort()
                client.close_idle()

    def _check_quiet(self) -> None:
        if self.closing and not self.gateway.counts.in_flight:
            self._quiet.set()


class _Server(web.Server):
    def __init__(self, plane: DataPlane) -> None:
        super().__init__(_unused)
        self._plane = plane

    def __call__(self) -> web.RequestHandler:
        return ClientConnection(self._plane, self, self._plane.loop)


async def _unused(_request: web.BaseRequest) -> web.StreamResponse:
    raise RuntimeError("requests are begun by their connections")
