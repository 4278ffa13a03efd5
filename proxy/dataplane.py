"""The data plane: aiohttp's low-level server in front, one exchange after another behind it."""

import asyncio
import logging
import uuid
from collections.abc import Callable

from aiohttp import web
from aiohttp.http import RawRequestMessage

from proxy.answers import Written, abort, proxy_made
from proxy.exchange import Exchange, Limits
from proxy.gateway import Gateway
from proxy.headers import Inbound, Refusal, read_request, request_id_of
from proxy.ledger import Result

MAX_ATTEMPTS = 3
KEEP_ALIVE_SECONDS = 75.0

_log = logging.getLogger("proxy")


class _Connection(web.RequestHandler):
    """What aiohttp finds malformed, told to the client in the proxy's name, and to the request it breaks off."""

    def data_received(self, data: bytes) -> None:
        """Fail a body that stops being one: aiohttp notes the error as a next request, and its reader waits on."""
        super().data_received(data)
        request = self._current_request
        if request is None or not self._messages or isinstance(self._messages[-1][0], RawRequestMessage):
            return
        if not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("a chunk is malformed"))
            request.content.feed_eof()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  aiohttp gives it
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if exc is not None and status >= 500:  # noqa: PLR2004
            _log.error("a request could not be handled", exc_info=exc)
        response = web.Response(status=status, text=f"{message or 'the proxy failed'}\n")
        response.headers["X-Lab-Proxy"] = "bad-request"
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(
            self,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's way to say: none
            auto_decompress=False,
            read_bufsize=65536,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        )


class DataPlane:
    def __init__(
        self,
        gateway: Gateway,
        *,
        limits: Limits | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._gateway = gateway
        self._limits = limits or Limits()
        self._new_id = new_id
        self._server = _Server(self._handle, handler_cancellation=True)
        self._listener: asyncio.Server | None = None
        self._busy: set[object] = set()
        self._quiet = asyncio.Event()
        self._closing = False

    async def start(self, host: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._server, host, port, backlog=4096)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self, seconds: float) -> None:
        """Accept nothing more, let requests in flight finish, as long as there is time."""
        self._closing = True
        if self._listener is not None:
            self._listener.close()
        for connection in self._server.connections:
            if connection not in self._busy:
                connection.close()
        self._check_quiet()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            _log.warning("%d requests did not finish within %g s and are cut", len(self._busy), seconds)
        await self._server.shutdown(timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        self._busy.add(connection)
        try:
            return await self._answer(request)
        except Exception:  # noqa: BLE001  aiohttp would write its 500 into the answer
            _log.exception("a request could not be handled: its connection is cut")
            abort(request, reset=True)
            return Written(keep_alive=False)
        finally:
            self._busy.discard(connection)
            self._check_quiet()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = request_id_of(request.raw_headers, self._new_id())
        found = read_request(
            method=request.method.encode(),
            target=request.raw_path.encode("utf-8", "surrogateescape"),
            fields=request.raw_headers,
            request_id=request_id,
            keep_alive=request.keep_alive,
            http10=request.version < (1, 1),
            remote=(request.remote or "unknown").encode(),
        )
        if isinstance(found, Refusal):
            self._gateway.ledger.reject(request_id.decode(), "bad-request", found.status)
            return self._own(request, found.status, "bad-request", found.message, request_id, keep_alive=False)
        return await self._forward(request, found)

    async def _forward(self, request: web.BaseRequest, inbound: Inbound) -> web.StreamResponse:
        tried: set[str] = set()
        ended = None
        for attempt in range(1, MAX_ATTEMPTS + 1):
            exchange = Exchange(self._gateway, request, inbound, attempt=attempt, limits=self._limits)
            claim = self._gateway.claim(tried, exchange.cut)
            if claim is None:
                break
            tried.add(claim.replica)
            ended = await exchange.run(claim, may_keep_alive=lambda: not self._closing)
            if ended.result is not Result.CONNECT_FAILED:
                break
        # A body that waits for its 100 may still come, or never: only the end of the connection is clear.
        keep_alive = inbound.keep_alive and not self._closing and not inbound.expects_continue
        if ended is None:
            self._gateway.ledger.reject(inbound.request_id.decode(), "no-ready-replica", 503)
            message = "no replica is ready"
            return self._own(request, 503, "no-ready-replica", message, inbound.request_id, keep_alive=keep_alive)
        if ended.answered:
            return Written(keep_alive=ended.keep_alive and not self._closing)
        if ended.reason == "bad-request":
            keep_alive = False
        return self._own(request, ended.status, ended.reason, ended.message, inbound.request_id, keep_alive=keep_alive)

    def _own(
        self, request: web.BaseRequest, status: int, reason: str, message: str, request_id: bytes, *, keep_alive: bool
    ) -> web.StreamResponse:
        transport = request.transport
        if transport is not None and not transport.is_closing():
            head_only = request.method == "HEAD"
            transport.write(proxy_made(status, reason, message, request_id, keep_alive=keep_alive, head_only=head_only))
        return Written(keep_alive=keep_alive)

    def _check_quiet(self) -> None:
        if self._closing and not self._busy:
            self._quiet.set()
