"""One honest HTTP exchange: sent once, never replayed, never redirected, and told apart when it breaks.

geventhttpclient's own `request` repeats a GET whose connection broke, so a dropped request looks like a good one.
Here only its parser is used; the exchange is ours, and `selftest.py` proves it honest before each run.
"""

import errno
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import gevent
from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadtest.connections import Connection, Connections
from loadtest.messages import Broken, Message, Reply, Trace
from loadtest.outcomes import (
    Flaw,
    Framing,
    Kind,
    Phase,
    contract,
    flaw_of_close,
    flaw_of_deadline,
    flaw_of_error,
    seen_through_a_published_port,
)

_BLOCK = 65536
_FINAL = 200
_OK = 200


class Sink(Protocol):
    """Takes the body of a 200 as it comes."""

    def feed(self, data: bytes) -> None: ...


class Exchange:
    """How far an exchange has come: the phase decides what a broken connection means."""

    def __init__(self) -> None:
        self.phase = Phase.CONNECTING
        self.framing = Framing.CLOSE
        self.first_byte: int | None = None
        self.connection: Connection | None = None

    def on(self, connection: Connection) -> Connection:
        connection.turn += 1
        self.connection = connection
        self.phase = Phase.SENDING
        return connection

    def byte_came(self) -> None:
        if self.first_byte is None:
            self.first_byte = time.monotonic_ns()
            self.phase = Phase.HEADER

    @property
    def trace(self) -> Trace:
        if self.connection is None:
            return Trace(first_byte=self.first_byte)
        return Trace(first_byte=self.first_byte, connection=self.connection.number, turn=self.connection.turn)


class Transport:
    def __init__(self, target: str, *, connections: int, published: bool = False) -> None:
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            raise ValueError(f"the target must look like http://proxy:8080, not {target!r}")
        self.host = url.netloc
        self.connections = Connections(url.hostname, url.port or 80, kept=connections)
        self._published = published

    def send(self, message: Message, *, until: int, sink: Sink | None = None) -> Reply | Broken:
        """Send once and read the whole answer, by `until` (monotonic nanoseconds) at the latest."""
        exchange, answer = Exchange(), Answer(message.method, sink)
        flaw = self.guard(exchange, until, lambda: self._run(exchange, answer, message))
        if flaw is not None:
            return Broken(flaw=flaw, status=answer.status, headers=answer.names, trace=exchange.trace)
        return Reply(
            status=answer.get_code(),
            headers=answer.names,
            body=bytes(answer.body),
            framing=exchange.framing,
            trace=exchange.trace,
        )

    def guard(self, exchange: Exchange, until: int, work: Callable[[], Flaw | None]) -> Flaw | None:
        """Do the work by `until`, and say how it broke."""
        timeout = gevent.Timeout(max(until - time.monotonic_ns(), 0) / 1e9)
        try:
            with timeout:
                flaw = work()
        except gevent.Timeout as fired:
            if fired is not timeout:
                raise
            return flaw_of_deadline(exchange.phase)
        except HTTPParseError as error:
            return contract(Kind.NOT_HTTP, f"{exchange.phase}: this is not HTTP: {error}")
        except OSError as error:
            flaw = flaw_of_error(exchange.phase, error, exchange.framing)
        return seen_through_a_published_port(flaw) if flaw is not None and self._published else flaw

    def close(self) -> None:
        self.connections.close()

    def _run(self, exchange: Exchange, answer: "Answer", message: Message) -> Flaw | None:
        connection = exchange.on(self.connections.take(fresh=message.fresh))
        reusable = False
        try:
            hand_over(exchange, connection, encode(message, self.host))
            while not answer.complete:
                data = connection.socket.recv(_BLOCK)
                if not data:
                    return None if answer.complete_at_the_end() else flaw_of_close(exchange.phase, exchange.framing)
                exchange.byte_came()
                answer.feed(data)
                if exchange.phase is Phase.HEADER and answer.header_came:
                    exchange.phase, exchange.framing = Phase.BODY, answer.framing
            reusable = not (message.fresh or answer.should_close())
            return None
        finally:
            if reusable:
                self.connections.give_back(connection)
            else:
                connection.close()


class Answer(HTTPResponse):
    def __init__(self, method: str, sink: Sink | None = None) -> None:
        super().__init__(method=method)
        self.body = bytearray()
        self._sink = sink

    @property
    def complete(self) -> bool:
        # an interim 1xx answer is a complete message too, with the real one behind it
        return self.message_complete and self.get_code() >= _FINAL

    @property
    def header_came(self) -> bool:
        return self.headers_complete and self.get_code() >= _FINAL

    @property
    def status(self) -> int | None:
        return self.get_code() if self.header_came else None

    @property
    def names(self) -> dict[str, str]:
        return {name.lower(): str(value) for name, value in self.items()} if self.header_came else {}

    @property
    def framing(self) -> Framing:
        if "transfer-encoding" in self:
            return Framing.CHUNKED
        return Framing.LENGTH if "content-length" in self else Framing.CLOSE

    def complete_at_the_end(self) -> bool:
        try:
            self.feed(b"")
        except HTTPParseError:
            return False
        return self.complete

    def _on_body(self, buf: bytearray) -> None:
        if self._sink is not None and self.get_code() == _OK:
            self._sink.feed(bytes(buf))
        else:
            self.body += buf


def hand_over(exchange: Exchange, connection: Connection, request: bytes) -> None:
    """A server may answer early and close: what it said is still to be read."""
    try:
        connection.socket.sendall(request)
    except OSError as error:
        if error.errno not in {errno.ECONNRESET, errno.EPIPE}:
            raise
    exchange.phase = Phase.WAITING


def encode(message: Message, host: str) -> bytes:
    lines = [f"{message.method} {message.path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in message.headers.items()]
    if message.fresh:
        lines.append("Connection: close")
    if message.body or message.method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(message.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + message.body
