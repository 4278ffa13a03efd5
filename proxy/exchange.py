"""One attempt: a claimed replica is sent the request and its answer is streamed to the client.

Both ways go at the pace of the slower side. However it ends, the claim is given back and the ledger told exactly once.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from proxy.answers import abort
from proxy.gateway import Gateway
from proxy.headers import Framing, Inbound, ResponseHead, ends_by_close, reframed, request_head, response_head
from proxy.ledger import Result
from proxy.pool import ConnectFailedError, Pool
from proxy.routing import Claim
from proxy.upstream import UpstreamConnection, UpstreamError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds without any progress of the side that is waited for."""

    answer: float = 60.0
    client: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an attempt ended. Unless `answered`, the client has seen nothing and gets status and reason."""

    result: Result
    answered: bool
    keep_alive: bool = False
    status: int = 0
    reason: str = ""
    message: str = ""


class _BadBodyError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Exchange:
    def __init__(
        self, gateway: Gateway, request: web.BaseRequest, inbound: Inbound, *, attempt: int, limits: Limits
    ) -> None:
        self._gateway = gateway
        self._request = request
        self._inbound = inbound
        self._attempt = attempt
        self._limits = limits
        self._task = asyncio.current_task()
        self._cut = False
        self._connection: UpstreamConnection | None = None
        self._pump: asyncio.Task[None] | None = None
        self._head: ResponseHead | None = None
        self._up = self._down = 0

    def cut(self) -> None:
        """End it: the drain deadline is there."""
        self._cut = True
        if self._task is not None:
            self._task.cancel()

    async def run(self, claim: Claim, *, may_keep_alive: Callable[[], bool]) -> Ended:
        """Carry it out; whether the client's connection may go on is asked when the answer's head is written."""
        ended = Ended(result=Result.CLIENT_GONE, answered=True)
        try:
            ended = await self._attempt_on(claim, may_keep_alive)
        except asyncio.CancelledError:
            if not self._cut:
                raise
            if self._task is not None:
                self._task.uncancel()
            ended = self._failed(Result.ABORTED_AT_DRAIN, 504, "drain-deadline", "the drain deadline was reached")
        finally:
            self._give_up()
            status = self._head.status if self._head else ended.status or None
            self._gateway.ledger.end(
                self._inbound.request_id.decode(),
                self._attempt,
                ended.result,
                status=status,
                up=self._up,
                down=self._down,
            )
            self._gateway.release(claim, aborted=ended.result is Result.ABORTED_AT_DRAIN)
        await self._body_left_alone()
        return ended

    async def _attempt_on(self, claim: Claim, may_keep_alive: Callable[[], bool]) -> Ended:
        replica, pool = claim.replica, self._gateway.pools[claim.replica]
        try:
            await self._send(claim, pool)
            head = await self._await_head()
            keep_alive = self._inbound.keep_alive and not ends_by_close(head, self._inbound) and may_keep_alive()
            await self._relay(head, keep_alive=keep_alive)
            self._hand_back(pool)
        except ConnectFailedError as error:
            return self._failed(Result.CONNECT_FAILED, 502, "connect-failed", f"{replica}: {error}")
        except UpstreamError as error:
            result = Result.CLOSED_BEFORE_RESPONSE if self._head is None else Result.TRUNCATED
            return self._failed(result, 502, "upstream-closed", f"{replica}: {error}")
        except TimeoutError:
            message = f"{replica} made no progress for {self._limits.answer:g} s"
            return self._failed(Result.TIMEOUT, 504, "upstream-timeout", message)
        except _BadBodyError as error:
            return self._failed(Result.CLIENT_GONE, error.status, "bad-request", str(error))
        except ConnectionError:
            return Ended(result=Result.CLIENT_GONE, answered=True)
        return Ended(result=Result.OK, answered=True, keep_alive=keep_alive)

    def _failed(self, result: Result, status: int, reason: str, message: str) -> Ended:
        if self._head is None:
            return Ended(result=result, answered=False, status=status, reason=reason, message=message)
        abort(self._request, reset=ends_by_close(self._head, self._inbound))
        return Ended(result=result, answered=True)

    def _give_up(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        if self._connection is not None:
            self._connection.abort()

    # Towards the replica

    async def _send(self, claim: Claim, pool: Pool) -> None:
        inbound = self._inbound
        self._connection = pool.take()
        self._gateway.ledger.begin(
            inbound.request_id.decode(),
            self._attempt,
            replica=claim.replica,
            epoch=claim.epoch,
            method=inbound.method.decode(),
            path=inbound.target.decode("latin-1"),
            reused=self._connection is not None,
        )
        if self._connection is None:
            self._connection = await pool.connect()
        self._connection.start(head_only=inbound.method == b"HEAD")
        self._connection.write(request_head(inbound, attempt=self._attempt, address=claim.entry.route.address))
        if inbound.framing is not Framing.NONE:
            if inbound.expects_continue:
                await self._to_client(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._pump = asyncio.create_task(self._send_body(self._connection))
            self._pump.add_done_callback(_retrieve)

    async def _send_body(self, connection: UpstreamConnection) -> None:
        chunked = self._inbound.framing is Framing.CHUNKED
        try:
            while data := await self._read_client():
                self._up += len(data)
                connection.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                async with asyncio.timeout(self._limits.answer):
                    await connection.drain()
            if chunked:
                connection.write(b"0\r\n\r\n")
        except _BadBodyError:
            connection.abort()
            raise

    async def _read_client(self) -> bytes:
        try:
            async with asyncio.timeout(self._limits.client):
                return await self._request.content.readany()
        except TimeoutError:
            raise _BadBodyError(408, f"no body byte came for {self._limits.client:g} s") from None
        except (RequestPayloadError, HttpProcessingError) as error:
            raise _BadBodyError(400, f"the body is malformed: {error}") from error

    # Towards the client

    async def _await_head(self) -> ResponseHead:
        """Wait while the body goes out, and after that for as long as an answer may take."""
        assert self._connection is not None  # noqa: S101  sent on it
        if self._pump is None:
            async with asyncio.timeout(self._limits.answer):
                return await self._connection.head()
        head = asyncio.create_task(self._connection.head())
        head.add_done_callback(_retrieve)
        try:
            await asyncio.wait({head, self._pump}, return_when=asyncio.FIRST_COMPLETED)
            if self._pump.done() and not (head.done() and head.exception() is None):
                _raise_own(self._pump)
            async with asyncio.timeout(self._limits.answer):
                return await head
        finally:
            head.cancel()

    async def _relay(self, head: ResponseHead, *, keep_alive: bool) -> None:
        assert self._connection is not None  # noqa: S101  the head came from it
        chunked = reframed(head, self._inbound)
        pending = response_head(head, self._inbound, keep_alive=keep_alive)
        self._head = head
        while True:
            if pending and not self._connection.has_data:
                await self._to_client(pending)
                pending = b""
            async with asyncio.timeout(self._limits.answer):
                data = await self._connection.read()
            if not data:
                break
            self._down += len(data)
            await self._to_client(pending + (b"%x\r\n%b\r\n" % (len(data), data) if chunked else data))
            pending = b""
        if pending or chunked:
            await self._to_client(pending + (b"0\r\n\r\n" if chunked else b""))

    async def _to_client(self, data: bytes) -> None:
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)
        try:
            async with asyncio.timeout(self._limits.client):
                await self._request.writer.drain()
        except TimeoutError:
            transport.abort()
            raise ConnectionResetError("the client takes nothing") from None

    def _hand_back(self, pool: Pool) -> None:
        """Pool the connection, unless the replica answered before it had the whole request."""
        if self._pump is not None and not self._pump.done():
            return
        if self._pump is not None and self._pump.exception() is not None:
            return
        connection, self._connection = self._connection, None
        if connection is not None:
            pool.put(connection)

    async def _body_left_alone(self) -> None:
        """Leave what is left of the body to aiohttp: it must be the only reader."""
        if self._pump is not None and not self._pump.done():
            await asyncio.wait({self._pump}, timeout=self._limits.client)


def _raise_own(pump: "asyncio.Task[None]") -> None:
    """Raise why the body could not be sent on; that the replica closed is for its own answer to say."""
    error = pump.exception()
    if error is not None and not isinstance(error, UpstreamError):
        raise error


def _retrieve(task: "asyncio.Task[object]") -> None:
    """Mark a task's error as seen: the exchange has its own."""
    if not task.cancelled():
        task.exception()
