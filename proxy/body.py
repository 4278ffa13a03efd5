"""What a client sends after its head, on its way to one replica: at the pace of the slower side, and as it came."""

import asyncio
from collections.abc import Callable

from aiohttp import StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from proxy.client import ClientConnection
from proxy.fields import Framing
from proxy.requests import Inbound
from proxy.retry import Replay
from proxy.settings import Limits
from proxy.upstream import UpstreamConnection

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class BodyError(Exception):
    """It cannot be sent on: the client's fault, with what to tell it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Body:
    """`size` counts what was sent of it. `waits` is told for how many seconds it is right to wait, and on whom."""

    def __init__(
        self, inbound: Inbound, content: StreamReader, replay: Replay, limits: Limits, waits: Callable[[float], None]
    ) -> None:
        self._inbound = inbound
        self._content = content
        self._replay = replay
        self._limits = limits
        self._waits = waits
        self._chunked = inbound.framing is Framing.CHUNKED
        self._writable: asyncio.Future[None] | None = None
        self.size = 0

    def is_here(self) -> bool:
        """Whether all of it is here already and none was sent before, so that it can go with the head."""
        content = self._content
        if self._replay.sent or not content.is_eof() or content.exception() is not None:
            return False
        return not 0 < self._limits.body_bytes < content.total_bytes

    def whole(self) -> bytes:
        """Return all of it, framed, when `is_here`."""
        data = self._content.read_nowait()
        self.size = len(data)
        self._replay.note(data)
        if not self._chunked:
            return data
        return b"%x\r\n%b\r\n%b" % (len(data), data, _LAST_CHUNK) if data else _LAST_CHUNK

    async def send(self, connection: UpstreamConnection, client: ClientConnection) -> None:
        """Send it as it comes. Raises BodyError, or ConnectionError when the client has left."""
        if self._inbound.expects_continue and not self._replay.continued:
            self._replay.continued = True
            client.send(_CONTINUE)
        for data in list(self._replay.sent):
            await self._piece(connection, data)
        while data := await self._read():
            self._replay.note(data)
            await self._piece(connection, data)
        if self._chunked:
            connection.write(_LAST_CHUNK)

    def replica_takes_more(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    async def _read(self) -> bytes:
        self._waits(self._limits.client_seconds)
        try:
            data = await self._content.readany()
            # A reader that was about to be woken by data takes an error after it for the end.
            if not data and (broken := self._content.exception()) is not None:
                raise broken
        except (RequestPayloadError, HttpProcessingError) as error:
            raise BodyError(400, "bad-request", f"the body is malformed: {error}") from error
        return data

    async def _piece(self, connection: UpstreamConnection, data: bytes) -> None:
        self.size += len(data)
        most = self._limits.body_bytes
        if most and self.size > most:
            raise BodyError(413, "body-too-large", f"the body is larger than {most} bytes")
        connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        while connection.writing_paused and connection.alive:
            self._waits(self._limits.first_byte_seconds)
            self._writable = asyncio.get_running_loop().create_future()
            await self._writable
