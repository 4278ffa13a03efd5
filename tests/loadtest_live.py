"""Event streams and WebSockets on a bare socket, that go well or end in each of the ways that they can."""

import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Request, TextMessage

Sealed = Callable[[object], bytes]
GIVEN = 2
"""Events or messages before a session ends badly."""


def stream(connection: socket.socket, path: str, seal: Sealed, ending: str | None) -> bool:
    """Serve `/stream`; the endings but None come after GIVEN events."""
    events, interval = (int(found) for found in re.findall(r"=(\d+)", path))
    framing = "" if ending == "stream ends with its connection" else "Transfer-Encoding: chunked\r\n"
    names = "X-Lab-Version: v1\r\nX-Lab-Replica: app-1.1\r\n"
    connection.sendall(f"HTTP/1.1 200 X\r\n{names}{framing}Connection: close\r\n\r\n".encode())
    pack = _chunk if framing else bytes
    for number in range(1, (events if ending is None else GIVEN) + 1):
        time.sleep(interval / 1000 if number > 1 else 0)
        connection.sendall(pack(_event(number, seal)))
    if ending is not None:
        connection.sendall(b"".join(pack(piece) for piece in STREAM_ENDINGS[ending](seal)))
    if framing and ending not in {"stream dies", "stream is reset"}:
        connection.sendall(b"0\r\n\r\n")
    if ending == "stream is reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    return False


def _event(number: int, seal: Sealed, *, id: int | None = None) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (number if id is None else id, seal({"n": number}))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_ENDINGS: dict[str, Callable[[Sealed], list[bytes]]] = {
    "stream is cut": lambda _: [],
    "stream ends with its connection": lambda _: [],
    "stream dies": lambda _: [],
    "stream is reset": lambda _: [],
    "stream is torn": lambda seal: [_event(GIVEN + 1, seal)[:30]],
    "stream skips": lambda seal: [_event(GIVEN + 1, seal, id=9)],
}


def websocket(connection: socket.socket, head: bytes, seal: Sealed, ending: str | None) -> bool:
    """Serve `/ws`; the endings but None come after GIVEN messages."""
    protocol = WSConnection(ConnectionType.SERVER)
    protocol.receive_data(head)
    assert isinstance(next(protocol.events()), Request)
    names = [(b"X-Lab-Version", b"v1"), (b"X-Lab-Replica", b"app-1.1")]
    connection.sendall(protocol.send(AcceptConnection(extra_headers=names)))
    connection.sendall(protocol.send(TextMessage(data=seal({}).decode())))
    for count, event in enumerate(_events(connection, protocol), 1):
        if isinstance(event, CloseConnection):
            connection.sendall(protocol.send(event.response()))
            return False
        assert isinstance(event, TextMessage)
        if ending == "websocket echoes wrongly" and count == GIVEN:
            connection.sendall(protocol.send(TextMessage(data="what?")))
            continue
        connection.sendall(protocol.send(TextMessage(data=event.data)))
        if ending is not None and count == GIVEN:
            return WEBSOCKET_ENDINGS[ending](connection, protocol)
    return False


def _events(connection: socket.socket, protocol: WSConnection) -> Iterator[Event]:
    while data := connection.recv(65536):
        protocol.receive_data(data)
        yield from protocol.events()


def _close(code: int) -> Callable[[socket.socket, WSConnection], bool]:
    def close(connection: socket.socket, protocol: WSConnection) -> bool:
        connection.sendall(protocol.send(CloseConnection(code=code)))
        connection.recv(100)
        return False

    return close


def _vanish(_connection: socket.socket, _protocol: WSConnection) -> bool:
    return False


WEBSOCKET_ENDINGS: dict[str, Any] = {
    "websocket is sent away": _close(1001),
    "websocket fails": _close(1011),
    "websocket is over": _close(1000),
    "websocket vanishes": _vanish,
    "websocket echoes wrongly": _vanish,
}
