"""Would this client notice? A server on loopback drops every tenth request: exactly those must be reported."""

import time
from dataclasses import dataclass
from typing import Any

from gevent.server import StreamServer

from loadtest.messages import Broken, Message
from loadtest.outcomes import Outcome
from loadtest.transport import Transport

_REQUESTS = 100
_EVERY = 10
_LIMIT_NS = 10_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    ok: bool
    injected: int
    reported: int


def self_test() -> SelfTest:
    dropper = _Dropper()
    server = StreamServer(("127.0.0.1", 0), dropper.serve)
    server.start()
    transport = Transport(f"http://127.0.0.1:{server.server_port}", connections=1)
    try:
        reported = _paths_reported(transport)
    finally:
        transport.close()
        server.stop(timeout=1)
    right = reported == dropper.dropped and dropper.seen == _REQUESTS and len(reported) == _REQUESTS // _EVERY
    return SelfTest(ok=right, injected=len(dropper.dropped), reported=len(reported))


def _paths_reported(transport: Transport) -> list[str]:
    until = time.monotonic_ns() + _LIMIT_NS
    paths = [f"/{number}" for number in range(1, _REQUESTS + 1)]
    answers = [(path, transport.send(Message(method="GET", path=path), until=until)) for path in paths]
    return [path for path, answer in answers if isinstance(answer, Broken) and answer.flaw.outcome is Outcome.RESET]


class _Dropper:
    """Answers on kept-alive connections, and closes them in place of every tenth answer."""

    def __init__(self) -> None:
        self.seen = 0
        self.dropped: list[str] = []

    def serve(self, connection: Any, _address: object) -> None:
        while request := _read_head(connection):
            self.seen += 1
            if self.seen % _EVERY == 0:
                self.dropped.append(request.split(b" ")[1].decode())
                connection.close()
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _read_head(connection: Any) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        block = connection.recv(4096)
        if not block:
            return b""
        data += block
    return data
