"""One HTTP/1.1 connection to a replica. It sends nothing twice, is always reading, and tells what comes as it comes.

Why this is ours and no library's: docs/decisions/0004-the-proxys-upstream-side-is-ours.md
"""

import asyncio
import select
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from proxy.fields import Field, Framing
from proxy.responses import MalformedError, ResponseHead, check_status_line, interim_head, read_head

MAX_HEAD = 64 * 1024
_CLOSE_SECONDS = 1.0
_SWITCHING = 101
_CONTINUE = 100
_FINAL = 200
_USUAL = frozenset({200})
_HEAD_END = b"\r\n\r\n"
# Looking up a member of an enum costs more than most of what is decided by it.
_NONE, _LENGTH, _CLOSE = Framing.NONE, Framing.LENGTH, Framing.CLOSE


class UpstreamError(Exception):
    """The connection ended before the answer did."""


class BadAnswerError(UpstreamError):
    """What came over the connection is no answer."""


class Receiver(Protocol):
    """Who is told of an answer. Nothing here may fail: it runs where bytes arrive."""

    def answer_interim(self, head: bytes) -> None: ...
    def answer_head(self, head: ResponseHead) -> None: ...
    def answer_body(self, data: bytes) -> None: ...
    def answer_read(self, *, complete: bool) -> None:
        """All that one read brought has been told; `complete`: the answer is over."""

    def answer_whole(self, head: ResponseHead, body: bytes) -> bool:
        """Take head, body and end in one call, if there is nothing to consider; False: they are told one by one."""

    def answer_switched(self, fields: list[Field], tail: bytes) -> None: ...
    def answer_failed(self, error: UpstreamError) -> None: ...
    def replica_takes_more(self) -> None: ...


class Tunnelled(Protocol):
    """Who is told of the raw bytes once the connection has switched protocols."""

    def from_replica(self, data: bytes) -> None: ...
    def replica_ended(self) -> None: ...
    def replica_lost(self) -> None: ...
    def replica_paused(self, *, paused: bool) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """Carries one exchange at a time, from `start` until `answer_read(complete=True)` or `answer_failed`."""

    __slots__ = (
        "_alike",
        "_complete",
        "_extra",
        "_fed",
        "_fields",
        "_head",
        "_head_only",
        "_head_size",
        "_known",
        "_last_head",
        "_last_piece",
        "_lost",
        "_made",
        "_parser",
        "_poller",
        "_reading",
        "_reason",
        "_receiver",
        "_switched",
        "_transport",
        "_tunnel",
        "_unsent",
        "alive",
        "idle_since",
        "writing_paused",
    )

    def __init__(
        self, made: Callable[["UpstreamConnection"], None], lost: Callable[["UpstreamConnection"], None]
    ) -> None:
        self._made = made
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._poller: select.poll | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._receiver: Receiver | None = None
        self._tunnel: Tunnelled | None = None
        self.alive = False
        self._reading = True
        self._last_head: ResponseHead | None = None
        self._known: tuple[bytes, int, ResponseHead] | None = None
        self.writing_paused = False
        self.idle_since = 0.0
        # What is said at the end of this step of the loop, together with what is said to others.
        self._unsent = b""
        self._head_only = False
        self._head: ResponseHead | None = None
        self._fed = self._complete = self._extra = False
        self._head_size = 0
        self._begin_parsing()

    def _begin_parsing(self) -> None:
        self._alike = self._switched = False
        self._reason = self._last_piece = b""
        self._fields: list[Field] = []

    def is_reusable(self) -> bool:
        return self.alive and self._complete and not self._extra and self._head is not None and self._head.reusable

    def is_quiet(self) -> bool:
        """Whether nothing has arrived that was not read yet, not even its end."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False  # its number may be another socket's by now
        if self._poller is None:
            sock = transport.get_extra_info("socket")
            if sock is None:
                return False
            self._poller = select.poll()
            self._poller.register(sock.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not self._poller.poll(0)

    def start(self, receiver: Receiver, request: bytes, *, head_only: bool) -> None:
        self.prepare(receiver, request, head_only)
        self.send_prepared()

    def prepare(self, receiver: Receiver, request: bytes, head_only: bool) -> None:
        """Begin an exchange whose request is not said before `send_prepared`, which the caller sees to."""
        self._head_only = head_only
        self._head = None
        self._fed = self._complete = self._extra = False
        self._head_size = 0
        if head_only:
            self._last_head = None
        self._receiver = receiver
        self._unsent = request

    def send_prepared(self) -> None:
        unsent = self._unsent
        if unsent:
            self._unsent = b""
            self.write(unsent)

    def rest(self) -> None:
        """Say that the exchange is over: whatever arrives from now on ends the connection."""
        self._receiver = None
        if self._head_only:
            # The parser cannot know that no body follows, and waits for one.
            self._parser = httptools.HttpResponseParser(self)
        self.resume_reading()

    def tunnel(self, tunnel: Tunnelled) -> None:
        self._tunnel, self._receiver = tunnel, None

    def write(self, data: bytes) -> None:
        if self._transport is not None and self.alive:
            self._transport.write(data)

    def write_eof(self) -> None:
        if self._transport is not None and self.alive:
            self._transport.write_eof()

    def pause_reading(self) -> None:
        if self._reading and self.alive and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and self.alive and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def abort(self) -> None:
        self._receiver = self._tunnel = None
        self.alive = False
        self._unsent = b""
        if self._transport is not None:
            self._transport.abort()

    def break_off(self) -> None:
        """Abort it as if the replica had: whoever uses it is told."""
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.replica_lost()
        self._fail(UpstreamError("its route was removed"))

    def close(self) -> None:
        """End it in order, once all that was written has gone out."""
        self._receiver = self._tunnel = None
        self.alive = False
        if self._transport is not None:
            self._transport.close()
            # A replica that takes nothing any more does not keep itself from being stopped.
            asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._transport.abort)

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.alive = True
        self._made(self)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_replica(data)
            return
        receiver = self._receiver
        if receiver is None or self._complete or self._unsent:
            self._spoke_unasked()
            return
        known, first = self._known, not self._fed
        self._fed = True
        if first and known is not None and self._is_as_before(data, known):
            self._read_as_before(receiver, data, known)
            return
        if first:
            self._begin_parsing()
        in_head = self._head is None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(receiver, data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(receiver, error)
        else:
            if in_head and self._head is None:
                self._head_grows(len(data))
            else:
                self._told(receiver, data, first=first)

    def _spoke_unasked(self) -> None:
        """Nothing was asked: whoever speaks now cannot be trusted with the next request."""
        if self._unsent:
            self._fail(UpstreamError("the replica spoke before it was asked"))
            return
        self._extra = True
        if self._receiver is None:
            self.abort()

    def _told(self, receiver: Receiver, data: bytes, *, first: bool) -> None:
        """All that one read brought is told; `first`: it was the first of the answer."""
        if self._complete:
            if data[-2:] == b"\r\n" and self._has_stray_line_end(data):
                self._extra = True
            elif first and self._alike:
                self._remember(data)
        if self._receiver is receiver:
            receiver.answer_read(complete=self._complete)

    def _remember(self, data: bytes) -> None:
        """Keep the bytes of a head that came twice, if all of its answer came in one read and nothing after it."""
        head = self._head
        if head is None or not self.is_reusable() or head.framing is not _LENGTH or head.event_stream:
            return
        raw = bytes(data[: len(data) - len(self._last_piece)])
        if raw.find(_HEAD_END) == len(raw) - len(_HEAD_END):
            self._known = raw, len(data), head

    def _is_as_before(self, data: bytes, known: tuple[bytes, int, ResponseHead]) -> bool:
        return len(data) == known[1] and data.startswith(known[0]) and not self._head_only

    def _read_as_before(self, receiver: Receiver, data: bytes, known: tuple[bytes, int, ResponseHead]) -> None:
        """The same head, and as many bytes: the parser, which stands at the begin of an answer, would say the same."""
        raw, _size, head = known
        self._head, self._complete = head, True
        body = data[len(raw) :]
        if receiver.answer_whole(head, body):
            return
        receiver.answer_head(head)
        if self._receiver is receiver and body:
            receiver.answer_body(body)
        if self._receiver is receiver:
            receiver.answer_read(complete=True)

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.replica_ended()
            return True
        receiver = self._receiver
        if receiver is not None and self._head is not None and self._head.framing is _CLOSE:
            self._complete = True
            receiver.answer_read(complete=True)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.replica_lost()
        if self._head_size and self._head is None:
            self._fail(BadAnswerError("the answer ends in the middle of its head"))
        elif not self._complete:
            self._fail(UpstreamError(f"the replica closed the connection ({exc or 'end of stream'})"))
        self._lost(self)

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self._tunnel is not None:
            self._tunnel.replica_paused(paused=True)

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self._tunnel is not None:
            self._tunnel.replica_paused(paused=False)
        elif self._receiver is not None:
            self._receiver.replica_takes_more()

    # What the parser tells: httptools is strict, but bounds no head and cannot know of a HEAD request

    def on_message_begin(self) -> None:
        self._extra = self._complete

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._complete or self._receiver is None:
            self._extra = True
            return
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if status not in _USUAL or version != "1.1" or self._reason != b"OK":
            check_status_line(version, status, self._reason)
        if status < _FINAL:
            self._interim(status, self._receiver)
            return
        head = self._last_head
        self._alike = head is not None and self._is_alike(head, status, version)
        if head is None or not self._alike:
            head = read_head(status, self._reason, self._fields, http11=version == "1.1", head_only=self._head_only)
            if len(head.onward) > MAX_HEAD:
                raise MalformedError(f"the head is larger than {MAX_HEAD} bytes")
            # A replica answers in the same words again and again.
            self._last_head = None if self._head_only or version != "1.1" else head
        self._head = head
        self._complete = head.framing is _NONE
        self._receiver.answer_head(head)

    def _is_alike(self, last: ResponseHead, status: int, version: str) -> bool:
        said = (status, self._reason, self._fields)
        return version == "1.1" and said == (last.status, last.reason, last.fields)

    def on_body(self, body: bytes) -> None:
        if self._complete or self._receiver is None:
            self._extra = True
            return
        self._last_piece = body
        self._receiver.answer_body(body)

    def on_message_complete(self) -> None:
        # An interim answer is not the answer, and a body that ends with its connection has not ended yet.
        if self._head is not None and self._head.framing is not _CLOSE:
            self._complete = True

    def _has_stray_line_end(self, data: bytes) -> bool:
        """Whether a line end follows the answer: the parser skips it as if it belonged to the next one."""
        if self._head is not None and self._head.framing is _LENGTH:
            return not self._last_piece.endswith(b"\r\n")
        return data.endswith(b"\r\n\r\n\r\n")

    def _interim(self, status: int, receiver: Receiver) -> None:
        if status == _SWITCHING:
            self._switched = True
            return
        if status != _CONTINUE:
            receiver.answer_interim(interim_head(status, self._reason, self._fields))
        self._reason, self._fields, self._head_size = b"", [], 0

    def _head_grows(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            self._fail(BadAnswerError(f"the head of the answer is larger than {MAX_HEAD} bytes"))

    def _malformed(self, receiver: Receiver, error: httptools.HttpParserError) -> None:
        if self._complete:
            # The answer is whole; what follows it is not.
            self._extra = True
            receiver.answer_read(complete=True)
            return
        cause = error.__context__ if isinstance(error.__context__, MalformedError) else error
        self._fail(BadAnswerError(f"the answer is malformed: {cause}"))

    def _upgraded(self, receiver: Receiver, tail: bytes) -> None:
        if self._switched:
            receiver.answer_switched(self._fields, tail)
        else:
            self._fail(BadAnswerError("the answer switches protocols, and says not that it does"))

    def _fail(self, error: UpstreamError) -> None:
        receiver, self._receiver = self._receiver, None
        self.abort()
        if receiver is not None:
            receiver.answer_failed(error)
