"""One HTTP/1.1 connection to a replica. It never sends anything twice, and it is always reading."""

import asyncio
from collections.abc import Callable

import httptools

from proxy.headers import Field, Framing, ResponseHead, every, tokens

MAX_HEAD = 64 * 1024
MAX_BUFFERED = 64 * 1024


class UpstreamError(Exception):
    """The connection ended, or what came over it is no answer."""


class UpstreamConnection(asyncio.Protocol):
    """Carries one exchange at a time: `start`, `write`, `head`, then `read` until it returns nothing."""

    def __init__(self, lost: Callable[["UpstreamConnection"], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._answer: _Answer | None = None
        self._error: UpstreamError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._writing_paused = False
        self._reading_paused = False

    @property
    def alive(self) -> bool:
        return self._error is None and self._transport is not None and not self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        answer = self._answer
        return self.alive and answer is not None and answer.reusable

    @property
    def has_data(self) -> bool:
        return self._answer is not None and (self._answer.buffered > 0 or self._answer.complete)

    def start(self, *, head_only: bool) -> None:
        self._answer = _Answer(head_only=head_only)

    def rest(self) -> None:
        """Say that the exchange is over: whatever arrives from now on ends the connection."""
        self._answer = None
        self._resume()

    def write(self, data: bytes) -> None:
        if not self.alive or self._transport is None:
            raise self._error or UpstreamError("the connection is closed")
        self._transport.write(data)

    async def drain(self) -> None:
        while self._writing_paused and self._error is None:
            self._writer = asyncio.get_running_loop().create_future()
            await self._writer
        if self._error is not None:
            raise self._error

    async def head(self) -> ResponseHead:
        answer = self._exchange()
        await self._until(lambda: answer.head is not None)
        assert answer.head is not None  # noqa: S101  what was waited for
        return answer.head

    async def read(self) -> bytes:
        """Return what has come of the body, or nothing at its proper end."""
        answer = self._exchange()
        await self._until(lambda: answer.buffered > 0 or answer.complete)
        data = answer.take()
        self._resume()
        return data

    def abort(self) -> None:
        self._fail(UpstreamError("the connection was given up"))
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what create_connection makes
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:
            self.abort()
            return
        try:
            answer.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, _MalformedError) as error:
            self._fail(UpstreamError(f"the answer is malformed: {error!r}"))
            self.abort()
            return
        if answer.buffered > MAX_BUFFERED and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        if self._answer is not None:
            self._answer.end_of_stream()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(UpstreamError(f"the replica closed the connection ({exc or 'end of stream'})"))
        self._lost(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake()

    async def _until(self, ready: Callable[[], bool]) -> None:
        while not ready():
            if self._error is not None:
                raise self._error
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def _exchange(self) -> "_Answer":
        if self._answer is None:
            raise RuntimeError("no exchange was started on this connection")
        return self._answer

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self._wake()

    def _wake(self) -> None:
        for waiting in (self._reader, self._writer):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    def _resume(self) -> None:
        if self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()


class _MalformedError(Exception):
    pass


class _Answer:
    """The callbacks of the parser: httptools is strict, but bounds no head and cannot know of a HEAD request."""

    def __init__(self, *, head_only: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self._reason = b""
        self._fields: list[Field] = []
        self._head_size = 0
        self._chunks: list[bytes] = []
        self._extra = False
        self.buffered = 0
        self.head: ResponseHead | None = None
        self.complete = False

    @property
    def reusable(self) -> bool:
        return self.complete and not self._extra and self.head is not None and self.head.reusable

    def feed(self, data: bytes) -> None:
        if self.complete:
            self._extra = True
            return
        in_head = self.head is None
        self._parser.feed_data(data)
        if in_head and self.head is None:
            self._grow(len(data))

    def end_of_stream(self) -> None:
        if self.head is not None and self.head.framing is Framing.CLOSE:
            self.complete = True

    def take(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        self.buffered = 0
        return data

    def on_message_begin(self) -> None:
        if self.complete:
            self._extra = True

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:
            self._grow(len(name) + len(value))
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.complete:
            return
        if status < 200:  # noqa: PLR2004  interim answers end here
            self._reason, self._fields, self._head_size = b"", [], 0
            return
        fields = tuple(self._fields)
        framing = _framing(status, fields, head_only=self._head_only)
        self.head = ResponseHead(
            status=status,
            reason=self._reason,
            fields=fields,
            framing=framing,
            reusable=framing is not Framing.CLOSE
            and self._parser.get_http_version() == "1.1"
            and b"close" not in tokens(fields, b"connection"),
        )
        self.complete = framing is Framing.NONE

    def on_body(self, body: bytes) -> None:
        if self.complete:
            self._extra = True
            return
        self._chunks.append(body)
        self.buffered += len(body)

    def on_message_complete(self) -> None:
        # A close-delimited body ends with its connection only; an interim answer is not the answer.
        if self.head is not None:
            self.complete = True

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            raise _MalformedError(f"the head is larger than {MAX_HEAD} bytes")


def _framing(status: int, fields: tuple[Field, ...], *, head_only: bool) -> Framing:
    if head_only or status in {204, 304}:
        return Framing.NONE
    codings = [coding.strip().lower() for coding in every(fields, b"transfer-encoding")]
    if codings:
        if codings != [b"chunked"]:
            raise _MalformedError(f"transfer coding {codings!r}, where only chunked is known")
        return Framing.CHUNKED
    return Framing.LENGTH if every(fields, b"content-length") else Framing.CLOSE
