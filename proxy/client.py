"""A client's connection: aiohttp's low-level server protocol, with what a reverse proxy needs beside it.

Taken from aiohttp: the strict parser, keep-alive, pipelining, lingering. Ours: who is told when the client leaves or
takes nothing, the timer of an unfinished head, the tunnel after a 101, and no request or response object that is not
needed. What is used of aiohttp beyond its documentation is named in docs/decisions/0004 and held by a test.
"""

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong

from proxy.fields import Field
from proxy.requests import forwarding_lines
from proxy.settings import Limits
from proxy.tunnel import Tunnel


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
    def refuse(self, connection: "ClientConnection", status: int, reason: str, message: str) -> None: ...


class ClientRequest:
    """As much of a request as aiohttp's server asks for; the proxy reads the message itself."""

    __slots__ = ("_task", "content", "message", "protocol", "writer")

    def __init__(
        self,
        message: RawRequestMessage,
        content: StreamReader,
        protocol: "ClientConnection",
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> None:
        self.message = message
        self.content = content
        self.protocol = protocol
        self.writer = writer
        self._task = task

    @property
    def headers(self) -> object:
        return self.message.headers

    @property
    def remote(self) -> str:
        return self.protocol.remote.decode()

    def _cancel(self, exc: BaseException) -> None:
        self.content.set_exception(exc)

    def _finish(self) -> None:
        """Nothing was made that had to be cleaned up."""


class Written:
    """Tells aiohttp that the answer's bytes are on the connection already, and whether it goes on after them."""

    status = 200
    body_length = 0

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive

    async def prepare(self, _request: object) -> None:
        return

    async def write_eof(self) -> None:
        return


KEEP = Written(keep_alive=True)
CLOSE = Written(keep_alive=False)


class ClientConnection(web.RequestHandler):
    def __init__(self, owner: Owner, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        limits = owner.limits
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's way to say: none
            auto_decompress=False,
            read_bufsize=65536,
            keepalive_timeout=limits.idle_seconds,
            max_line_size=limits.request_line,
            max_headers=limits.header_count,
            max_field_size=limits.header_bytes,
        )
        self._owner = owner
        self._tunnel: Tunnel | None = None
        self._unfinished: asyncio.TimerHandle | None = None
        self._forwarding: tuple[bytes, bytes] = (b"", b"")
        self.serving: Serving | None = None
        self.remote = b"unknown"
        self.trusted = False

    @property
    def gone(self) -> bool:
        return self.transport is None

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

    async def drained(self) -> None:
        """Wait until the client has taken most of what it was sent."""
        await self._drain_helper()

    def tunnel_to(self, tunnel: Tunnel) -> None:
        """From now on whatever the client sends goes there, also what it sent with its request."""
        self._tunnel = tunnel
        self.serving = tunnel
        early, self._message_tail = self._message_tail, b""
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        if early:
            tunnel.from_client(early)

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.remote = peer[0].encode()
            self.trusted = self._owner.trusts(peer[0])
        if not self._owner.connected(self):
            self._owner.refuse(self, 503, "too-many-connections", "too many connections are open")
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        serving, self.serving = self.serving, None
        self._finished()
        self._owner.disconnected(self)
        super().connection_lost(exc)
        if serving is not None:
            serving.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_client(data)
            return
        super().data_received(data)
        if self._current_request is not None:
            self._fail_broken_body()
        elif self._messages:
            self._finished()
        elif self._unfinished is None and data and not (self._close or self._force_close):
            self._unfinished = self._loop.call_later(self._owner.limits.header_seconds, self._too_slow)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own signature
        """A client that says it sends no more is taken to be gone, as nginx does; a tunnel has two directions."""
        if self._tunnel is None:
            return False
        self._tunnel.client_ended()
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.serving is not None:
            self.serving.client_paused(paused=True)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.serving is not None:
            self.serving.client_paused(paused=False)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002  aiohttp gives it
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Say in the proxy's name what aiohttp's parser found malformed."""
        text = (message or "malformed").splitlines()[0]
        if isinstance(exc, LineTooLong):
            status = 414 if "line" in text.lower() else 431
        elif "header" in text.lower() and "many" in text.lower():
            status = 431
        self._owner.refuse(self, status, "bad-request", text)
        return CLOSE  # type: ignore[return-value]  # written already

    def _fail_broken_body(self) -> None:
        """Fail a body that stops being one: aiohttp notes the error as a next request, and its reader waits on."""
        request = self._current_request
        if request is None or not self._messages or isinstance(self._messages[-1][0], RawRequestMessage):
            return
        if not request.content.is_eof():
            request.content.set_exception(web.RequestPayloadError("a chunk is malformed"))
            request.content.feed_eof()

    def _finished(self) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None

    def _too_slow(self) -> None:
        self._unfinished = None
        if self.transport is not None and self._current_request is None and not self._messages:
            self._owner.refuse(self, 408, "header-timeout", "the head of a request did not come in time")
            self.force_close()


def peers(networks: tuple[str, ...]) -> Callable[[str], bool]:
    """Return whether an address is in one of the networks."""
    found = [ipaddress.ip_network(each) for each in networks]
    return lambda address: any(ipaddress.ip_address(address.split("%")[0]) in network for network in found)
