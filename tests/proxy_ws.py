"""WebSocket as bytes, for what no library would send or show; and replicas that speak it through a library."""

import asyncio
import base64
import contextlib
import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.proxy_world import PATIENCE, Answer, Received, connected, read_answer, read_head

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = base64.b64encode(bytes(16)).decode()
_MASK = b"\x37\xfa\x21\x3d"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Frame:
    opcode: int
    payload: bytes = b""
    fin: bool = True

    @property
    def code(self) -> int:
        """The code of a Close; 1005, as the RFC names it, when it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if self.payload else 1005


def encode(frame: Frame, *, masked: bool = False) -> bytes:
    size = len(frame.payload)
    first = frame.fin << 7 | frame.opcode
    if size < 126:
        head = struct.pack("!BB", first, masked << 7 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, masked << 7 | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked << 7 | 127, size)
    return head + _MASK + _unmasked(frame.payload, _MASK) if masked else head + frame.payload


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    first, second = await reader.readexactly(2)
    size = second & 127
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8))
    mask = await reader.readexactly(4) if second >> 7 else b""
    payload = await reader.readexactly(size)
    return Frame(first & 15, _unmasked(payload, mask) if mask else payload, fin=bool(first >> 7))


def close_frame(code: int, reason: str = "") -> Frame:
    return Frame(CLOSE, struct.pack("!H", code) + reason.encode())


def upgrade(path: str = "/ws", *extra: str) -> bytes:
    fields = ["Host: lab.test", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}"]
    return "\r\n".join([f"GET {path} HTTP/1.1", *fields, "Sec-WebSocket-Version: 13", *extra, "", ""]).encode()


@contextlib.asynccontextmanager
async def tunnel(port: int, *extra: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Yield a connection on which the upgrade was made."""
    async with connected(port) as (reader, writer):
        writer.write(upgrade("/ws", *extra))
        (_, status, *_), fields, _ = await read_head(reader)
        assert status == "101", status
        assert {key.lower(): value for key, value in fields}["sec-websocket-accept"] == accepted(KEY)
        yield reader, writer


async def asked(port: int, request: bytes) -> tuple[Answer, Answer]:
    """Send two requests one after the other on one connection, and return both answers."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        first = await read_answer(reader)
        writer.write(b"GET /after HTTP/1.1\r\nHost: lab.test\r\n\r\n")
        return first, await read_answer(reader)


def accepted(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def switching(request: Received, *extra: str) -> bytes:
    fields = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accepted(request.one(_KEY_FIELD))}"]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *fields, *extra, "", ""]).encode()


_KEY_FIELD = "Sec-WebSocket-Key"


async def echoes(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond as a replica that sends every frame back, until it gets a Close."""
    writer.write(switching(request))
    while (frame := await read_frame(reader)).opcode != CLOSE:
        writer.write(encode(frame))
        await writer.drain()
    writer.write(encode(frame))
    writer.close()
    await writer.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What the proxy has to know of a replica that a library serves."""

    name: str
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def library_replica(
    name: str, handler: Callable[[ServerConnection], Awaitable[None]], **options: Any
) -> AsyncIterator[Served]:
    def ready(_connection: ServerConnection, request: Request) -> Response | None:
        if request.path != "/readyz":
            return None
        fields = Headers([("X-Lab-Replica", name), ("Content-Length", "0"), ("Connection", "close")])
        return Response(HTTPStatus.OK, "OK", fields, b"")

    options = {"max_size": None, "ping_interval": None, "close_timeout": PATIENCE, **options}
    async with serve(handler, "127.0.0.1", 0, process_request=ready, **options) as server:
        yield Served(name=name, port=next(iter(server.sockets)).getsockname()[1])


@contextlib.asynccontextmanager
async def aiohttp_replica(
    name: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> AsyncIterator[Served]:
    async def ready(_request: web.Request) -> web.Response:
        return web.Response(headers={"X-Lab-Replica": name})

    application = web.Application()
    application.add_routes([web.get("/readyz", ready), web.get("/ws", handler)])
    runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Served(name=name, port=runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _unmasked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size])
    return (int.from_bytes(payload) ^ key).to_bytes(size)
