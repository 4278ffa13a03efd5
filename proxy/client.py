"""A client's connection: aiohttp's low-level server protocol, with a request path of the proxy's own.

Taken from aiohttp: sockets, the strict parser, the queue of pipelined requests, the flow control of bodies. Ours: a
request begins where its bytes arrive, without a task, a request or a response object; who is told when the client
leaves or takes nothing; the timer of an unfinished head; the tunnel after a 101. What is used of aiohttp beyond its
documentation is named in docs/decisions/0004 and held by a test.
"""

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from proxy.fields import Field
from proxy.requests import Inbound, forwarding_lines
from proxy.settings import Limits
from proxy.tunnel import Tunnel

# aiohttp would close an idle connection in the middle of a request that it does not know of: the data plane does it.
_NO_TIMER = 10.0**8
# What is left of a body after its answer is read and thrown away, so that the client sees the answer and no reset.
_LINGER_SECONDS = 10.0
_LINGER_SILENT_SECONDS = 1.0
# Chunk sizes and extensions beside a body: more than a body in chunks of one byte would need is no body.
_FRAMING_BYTES = 16 * 1024
_FRAMING_SHARE = 16
_FIELD_FRAMING = len(": \r\n")
# What is asked again and again is asked in few bytes: they are kept for each connection.
_MOST_REMEMBERED = 1024
_HEAD_END = b"\r\n\r\n"


class Serving(Protocol):
    """Who is told what the client does while its request is served."""

    def client_gone(self) -> None: ...
    def client_paused(self, *, paused: bool) -> None: ...


class Owner(Protocol):
    """The data plane, as its connections see it."""

    @property
    def limits(self) -> Limits: ...
    @property
    def pseudonym(self) -> bytes: ...
    def trusts(self, address: str) -> bool: ...
    def connected(self, connection: "ClientConnection") -> bool:
        """Count it in; False: there are too many."""

    def disconnected(self, connection: "ClientConnection") -> None: ...
    def begin(self, connection: "ClientConnection", message: RawRequestMessage, content: StreamReader) -> None: ...
    def begin_again(self, connection: "ClientConnection", inbound: Inbound) -> None: ...
    def refuse(self, connection: "ClientConnection", status: int, reason: str, message: str) -> None: ...


class ClientConnection(web.RequestHandler):
    __slots__ = (
        "_asked",
        "_at_start",
        "_body_bytes",
        "_content",
        "_forwarding",
        "_head_bytes",
        "_last_read",
        "_lingering",
        "_owner",
        "_tunnel",
        "_unfinished",
        "busy",
        "idle_since",
        "last",
        "remote",
        "serving",
        "stuck",
        "trusted",
    )

    def __init__(self, owner: Owner, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        limits = owner.limits
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's way to say: none
            auto_decompress=False,
            read_bufsize=65536,
            keepalive_timeout=_NO_TIMER,
            max_line_size=limits.request_line,
            max_headers=limits.header_count,
            max_field_size=self._field_limit(limits),
        )
        self._owner = owner
        self._tunnel: Tunnel | None = None
        self._unfinished: asyncio.TimerHandle | None = None
        self._forwarding: tuple[bytes, bytes] = (b"", b"")
        self._content: StreamReader | None = None
        self._head_bytes = self._body_bytes = self._last_read = 0
        # The parser stands where a request may begin; only the last byte of a request without a body brings it there.
        self._at_start = True
        # What was asked in one piece: its bytes, and what they say, to the parser and, if they are plain, to the proxy.
        self._asked: tuple[bytes, RawRequestMessage, Inbound | None] | None = None
        self._lingering: asyncio.Task[None] | None = None
        self.last: Inbound | None = None
        self.serving: Serving | None = None
        self.busy = False
        # It takes nothing of what is written to it.
        self.stuck = False
        self.idle_since = 0.0
        self.remote = b"unknown"
        self.trusted = False

    @staticmethod
    def _field_limit(limits: Limits) -> int:
        """Return aiohttp's limit of a field: its error names the limit, and that must tell which one it was."""
        return limits.header_bytes + (limits.header_bytes == limits.request_line)

    def forwarding(self, host: bytes, said: tuple[Field, ...]) -> bytes:
        """Return the fields that tell a replica for whom it is asked; they are the same from request to request."""
        if said and self.trusted:
            return forwarding_lines(self.remote, host, said, via=self._owner.pseudonym)
        if self._forwarding[0] != host or not self._forwarding[1]:
            self._forwarding = host, forwarding_lines(self.remote, host, (), via=self._owner.pseudonym)
        return self._forwarding[1]

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def send_eof(self) -> None:
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    def abort(self, *, reset: bool = False) -> None:
        """Break it off. A body that ends with its connection looks whole after an orderly end: only a reset tells."""
        transport = self.transport
        if transport is None:
            return
        sock = transport.get_extra_info("socket")
        if reset and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def tunnel_to(self, tunnel: Tunnel) -> None:
        """From now on whatever the client sends goes there, also what it sent with its request."""
        self._tunnel = tunnel
        self.serving = tunnel
        early, self._message_tail = self._message_tail, b""
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        if early:
            tunnel.from_client(early)

    def finished(self, keep_alive: bool, now: float) -> None:
        """The answer is written, or the connection broken off: go on with the next request, or end."""
        self.serving = None
        content, self._content = self._content, None
        if content is not None and content is not EMPTY_PAYLOAD and not content.is_eof() and self.transport is not None:
            self._lingering = self._loop.create_task(self._linger(content, keep_alive))
            return
        self._over(keep_alive, now)

    def close_idle(self) -> None:
        """Take nothing more, and end once all that was written has gone out."""
        self.close()
        if self.transport is not None:
            self.transport.close()

    # What the event loop tells

    async def start(self) -> None:
        """Nothing: where aiohttp would wait for requests in a task, they are begun as they arrive."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.idle_since = self._loop.time()
        peer = transport.get_extra_info("peername")
        if peer:
            self.remote = peer[0].encode()
            self.trusted = self._owner.trusts(peer[0])
        if not self._owner.connected(self):
            self._owner.refuse(self, 503, "too-many-connections", "too many connections are open")
            self.close_idle()

    def connection_lost(self, exc: BaseException | None) -> None:
        serving, self.serving = self.serving, None
        self._head_came()
        self._owner.disconnected(self)
        super().connection_lost(exc)
        if self._content is not None:
            self._content.set_exception(exc or ConnectionResetError("the client left"))
        if self._lingering is not None:
            self._lingering.cancel()
        if serving is not None:
            serving.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_client(data)
            return
        at_start, asked = self._at_start, self._asked
        if at_start and asked is not None and data == asked[0] and self._is_free():
            self._ask_again(asked)
            return
        known = len(self._messages)
        super().data_received(data)
        self._at_start = len(self._messages) - known == 1 and self._ends_with_head(data, *self._messages[-1])
        if self.busy:
            self._watch_body(len(data))
        elif self._messages:
            self._last_read = len(data)
            alone = self._messages[0][0] if at_start and self._at_start and not known else None
            self._next()
            if alone is not None and not self._messages:
                self._remember(data, alone)
        elif data and not (self._close or self._force_close):
            self._head_grows(len(data))

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own signature
        """A client that says it sends no more is taken to be gone, as nginx does; a tunnel has two directions."""
        if self._tunnel is None:
            return False
        self._tunnel.client_ended()
        return True

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Only what was paused: aiohttp's bodies ask for this at every read."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.stuck = True
        if self.serving is not None:
            self.serving.client_paused(paused=True)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.stuck = False
        if self.serving is not None:
            self.serving.client_paused(paused=False)
        elif not self.busy:
            self._next()

    # From request to request

    def _is_free(self) -> bool:
        return not (self.busy or self._messages or self.stuck or self._close or self._force_close)

    def _ends_with_head(self, data: bytes, message: RawRequestMessage | _ErrInfo, content: StreamReader) -> bool:
        """Whether the last byte of `data` is the last one of the request that it brought, and of that one's head."""
        return (
            content is EMPTY_PAYLOAD
            and not self._upgraded
            and isinstance(message, RawRequestMessage)
            and data.find(_HEAD_END) == len(data) - len(_HEAD_END)
        )

    def _remember(self, data: bytes, message: RawRequestMessage | _ErrInfo) -> None:
        """The same bytes, where a request may begin, are the same request: they need not be parsed again.

        If they were taken for a request in plain words, without an id, they need not be read again either.
        """
        if isinstance(message, RawRequestMessage) and not message.should_close and len(data) <= _MOST_REMEMBERED:
            plain = self.last
            self._asked = bytes(data), message, plain if plain is not None and plain.id_at < 0 else None

    def _ask_again(self, asked: tuple[bytes, RawRequestMessage, Inbound | None]) -> None:
        _, message, inbound = asked
        self.busy = True
        self._content = EMPTY_PAYLOAD
        self._body_bytes = 0
        if inbound is not None:
            self._owner.begin_again(self, inbound)
        else:
            self._owner.begin(self, message, EMPTY_PAYLOAD)

    def _next(self) -> None:
        """Begin what was received, one after another; nothing for a client that does not take what it was given."""
        while self._messages and not self.busy and not self.stuck and not (self._close or self._force_close):
            self._head_came()
            message, content = self._messages.popleft()
            self.busy = True
            if self._parser is not None:
                self._parser.message_consumed()
            if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
                self._resume_reading_if_drained()
            if isinstance(message, RawRequestMessage):
                self._content = content
                self._body_bytes = 0
                if message.chunked and self._last_read > _FRAMING_BYTES:
                    self._watch_body(self._last_read - _size(message))
                self._owner.begin(self, message, content)
            else:
                self._refuse(message.exc)

    def _over(self, keep_alive: bool, now: float) -> None:
        self.busy = False
        self.idle_since = now
        if not keep_alive:
            self.close_idle()
            return
        if self._upgraded:
            self._decline_upgrade()
        if self._messages:
            self._loop.call_soon(self._next)

    def _decline_upgrade(self) -> None:
        """Go on as HTTP: what came after the request is the next one."""
        if self._parser is None or self._messages:
            return
        self._parser.set_upgraded(False)
        self._upgraded = False
        early, self._message_tail = self._message_tail, b""
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        if early:
            self.data_received(early)

    async def _linger(self, content: StreamReader, keep_alive: bool) -> None:
        if not keep_alive:
            self.send_eof()
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not content.is_eof():
                    await asyncio.wait_for(content.readany(), _LINGER_SILENT_SECONDS)
        except (TimeoutError, RuntimeError, web.RequestPayloadError, HttpProcessingError, ConnectionError):
            # It does not come, is malformed, or its client has left: aiohttp says so with a RuntimeError.
            keep_alive = False
        self._lingering = None
        self._over(keep_alive, self._loop.time())

    def _refuse(self, error: BaseException) -> None:
        """Say in the proxy's name what aiohttp's parser found malformed; not in its words, which quote the input."""
        limits = self._owner.limits
        status, text = 400, "the request is malformed"
        if isinstance(error, LineTooLong):
            too_long = error.args[1] == limits.request_line
            status, text = (414, "the request line is too long") if too_long else (431, "a header field is too long")
        elif "Too many" in str(error):
            status, text = 431, f"more than {limits.header_count} header fields"
        self._owner.refuse(self, status, "bad-request", text)
        self.close_idle()

    def _watch_body(self, size: int) -> None:
        """Fail a body that stops being one: aiohttp notes the error as a next request, and its reader waits on.

        The same for one that is all chunk extensions, of which the parser takes as many as come.
        """
        content = self._content
        if content is None:
            return
        if not content.is_eof() and self._messages and not isinstance(self._messages[-1][0], RawRequestMessage):
            self._fail_body(content, "a chunk is malformed")
            return
        self._body_bytes += size - sum(_size(message) + body.total_bytes for message, body in self._messages)
        # While it is paused, the parser holds what it has not looked at.
        framing = 0 if self._reading_paused else self._body_bytes - content.total_bytes
        if framing > _FRAMING_BYTES + _FRAMING_SHARE * content.total_bytes:
            self._fail_body(content, "its chunks are nearly all framing")

    def _fail_body(self, content: StreamReader, why: str) -> None:
        content.set_exception(web.RequestPayloadError(why))
        content.feed_eof()

    def _head_grows(self, size: int) -> None:
        """A head has begun and is not whole: it has a time, and a size that it is not waited for to exceed."""
        limits = self._owner.limits
        if self._unfinished is None:
            self._unfinished = self._loop.call_later(limits.header_seconds, self._too_slow)
        self._head_bytes += size
        if self._head_bytes > limits.request_line + limits.header_bytes + _FIELD_FRAMING * limits.header_count:
            self._head_came()
            self._owner.refuse(self, 431, "bad-request", f"the header is larger than {limits.header_bytes} bytes")
            self.close_idle()

    def _head_came(self) -> None:
        self._head_bytes = 0
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None

    def _too_slow(self) -> None:
        self._unfinished = None
        if self.transport is not None and not self.busy and not self._messages:
            self._owner.refuse(self, 408, "header-timeout", "the head of a request did not come in time")
            self.close_idle()


def _size(message: RawRequestMessage | _ErrInfo) -> int:
    """About the size of its head; of what is none, all that is known is that it is not long."""
    if not isinstance(message, RawRequestMessage):
        return 0
    fields = sum(len(name) + len(value) + _FIELD_FRAMING for name, value in message.raw_headers)
    return len(message.method) + len(message.path) + len("  HTTP/1.1\r\n\r\n") + fields


def peers(networks: tuple[str, ...]) -> Callable[[str], bool]:
    """Return whether an address is in one of the networks."""
    found = [ipaddress.ip_network(each) for each in networks]
    return lambda address: any(ipaddress.ip_address(address.split("%")[0]) in network for network in found)
