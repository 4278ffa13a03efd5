"""Would this client notice? A server on loopback breaks every tenth answer: exactly those must be reported, by name."""

import itertools
import socket as sockets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gevent.server import StreamServer

from loadtest.messages import Broken, Message
from loadtest.outcomes import Kind
from loadtest.transport import Transport

_REQUESTS = 100
_EVERY = 10
_LIMIT_NS = 10_000_000_000
_HEAD = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    ok: bool
    injected: int
    reported: int


def self_test() -> SelfTest:
    breaker = _Breaker()
    server = StreamServer(("127.0.0.1", 0), breaker.serve)
    server.start()
    transport = Transport(f"http://127.0.0.1:{server.server_port}", connections=1)
    try:
        reported = _reported(transport)
    finally:
        transport.close()
        server.stop(timeout=1)
    right = reported == breaker.broken and breaker.seen == _REQUESTS and len(reported) == _REQUESTS // _EVERY
    return SelfTest(ok=right, injected=len(breaker.broken), reported=len(reported))


def _reported(transport: Transport) -> dict[str, Kind]:
    until = time.monotonic_ns() + _LIMIT_NS
    paths = [f"/{number}" for number in range(1, _REQUESTS + 1)]
    answers = [(path, transport.send(Message(method="GET", path=path), until=until)) for path in paths]
    return {path: answer.flaw.kind for path, answer in answers if isinstance(answer, Broken)}


def _reset(connection: Any) -> None:
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))


def _said(data: bytes) -> Callable[[Any], None]:
    return lambda connection: connection.sendall(data)


_WAYS: dict[Kind, Callable[[Any], None]] = {
    Kind.CLOSED: _said(b""),
    Kind.RESET: _reset,
    Kind.CUT_HEADER: _said(_HEAD + b"Content-Le"),
    Kind.CUT_LENGTH: _said(_HEAD + b"Content-Length: 2\r\n\r\no"),
    Kind.CUT_CHUNKED: _said(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
}


class _Breaker:
    """Answers on kept-alive connections, and breaks every tenth answer, each time in the next way."""

    def __init__(self) -> None:
        self.seen = 0
        self.broken: dict[str, Kind] = {}
        self._ways = itertools.cycle(_WAYS.items())

    def serve(self, connection: Any, _address: object) -> None:
        while request := _read_head(connection):
            self.seen += 1
            if self.seen % _EVERY == 0:
                kind, do = next(self._ways)
                self.broken[request.split(b" ")[1].decode()] = kind
                do(connection)
                connection.close()
                return
            connection.sendall(_HEAD + b"Content-Length: 2\r\n\r\nok")


def _read_head(connection: Any) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        block = connection.recv(4096)
        if not block:
            return b""
        data += block
    return data
