"""One honest HTTP exchange: sent once, never replayed, never redirected, and told apart when it breaks.

geventhttpclient's own `request` repeats a GET whose connection broke, so a dropped request looks like a good one.
Here only its connection pool and its parser are used; the exchange is ours, and `selftest.py` proves it honest
before each run.
"""

import errno
import time
from urllib.parse import urlsplit

import gevent
from geventhttpclient.connectionpool import ConnectionPool
from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadtest.messages import Broken, Message, Reply
from loadtest.outcomes import Flaw, Outcome, Phase, flaw_of_close, flaw_of_deadline, flaw_of_error

_BLOCK = 65536
_NEVER_FIRST = 3600.0  # seconds: the request's own deadline is the only one, the pool's would cut a timely answer


class Transport:
    def __init__(self, target: str, *, connections: int) -> None:
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            raise ValueError(f"the target must look like http://proxy:8080, not {target!r}")
        port = url.port or 80
        self._host = url.netloc
        self._pool = ConnectionPool(
            url.hostname,
            port,
            url.hostname,
            port,
            size=connections,
            connection_timeout=_NEVER_FIRST,
            network_timeout=_NEVER_FIRST,
        )

    def send(self, message: Message, *, until: int) -> Reply | Broken:
        """Send once and read the whole answer, by `until` (monotonic nanoseconds) at the latest."""
        exchange = _Exchange(message.method)
        remaining = max(until - time.monotonic_ns(), 0) / 1e9
        timeout = gevent.Timeout(remaining)
        try:
            with timeout:
                return self._run(exchange, _encode(message, self._host))
        except gevent.Timeout as fired:
            if fired is not timeout:
                raise
            return exchange.broken(flaw_of_deadline(exchange.phase))
        except HTTPParseError as error:
            detail = f"{exchange.phase}: this is not HTTP: {error}"
            return exchange.broken(Flaw(outcome=Outcome.CONTRACT, detail=detail))
        except OSError as error:
            return exchange.broken(flaw_of_error(exchange.phase, error))

    def close(self) -> None:
        self._pool.close()

    def _run(self, exchange: "_Exchange", request: bytes) -> Reply | Broken:
        socket = self._pool.get_socket()
        reusable = False
        try:
            exchange.phase = Phase.SENDING
            try:
                socket.sendall(request)
            except OSError as error:
                if error.errno not in {errno.ECONNRESET, errno.EPIPE}:
                    raise
                # a server may answer early and close: what it said is still to be read
            exchange.phase = Phase.WAITING
            while not exchange.complete:
                if not exchange.feed(socket.recv(_BLOCK)):
                    return exchange.broken(flaw_of_close(exchange.phase))
            reusable = not exchange.answer.should_close()
            return exchange.reply()
        finally:
            if reusable:
                self._pool.return_socket(socket)
            else:
                self._pool.release_socket(socket)


class _Answer(HTTPResponse):
    def __init__(self, method: str) -> None:
        super().__init__(method=method)
        self.body = bytearray()

    def _on_body(self, buf: bytearray) -> None:
        self.body += buf


class _Exchange:
    """How far an exchange has come: the phase decides what a broken connection means."""

    def __init__(self, method: str) -> None:
        self.answer = _Answer(method)
        self.phase = Phase.CONNECTING
        self.first_byte: int | None = None

    @property
    def complete(self) -> bool:
        # an interim 1xx answer is a complete message too, with the real one behind it
        return self.answer.message_complete and self.answer.get_code() >= 200  # noqa: PLR2004

    def feed(self, data: bytes) -> bool:
        """False when the connection ended before the message did."""
        if not data:
            return self._end()
        if self.first_byte is None:
            self.first_byte = time.monotonic_ns()
            self.phase = Phase.HEADER
        self.answer.feed(data)
        if self.answer.headers_complete:
            self.phase = Phase.BODY
        return True

    def reply(self) -> Reply:
        return Reply(
            status=self.answer.get_code(),
            headers={name.lower(): str(value) for name, value in self.answer.items()},
            body=bytes(self.answer.body),
            first_byte=self.first_byte or 0,
        )

    def broken(self, flaw: Flaw) -> Broken:
        return Broken(flaw=flaw, first_byte=self.first_byte)

    def _end(self) -> bool:
        try:
            self.answer.feed(b"")
        except HTTPParseError:
            return False
        return self.complete


def _encode(message: Message, host: str) -> bytes:
    lines = [f"{message.method} {message.path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in message.headers.items()]
    if message.body or message.method in {"POST", "PUT", "PATCH"}:
        lines.append(f"Content-Length: {len(message.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + message.body
