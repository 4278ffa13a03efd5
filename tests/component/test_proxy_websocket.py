"""A WebSocket through the proxy is what it would be without it, until a drain's deadline ends it in order."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import PerMessageDeflate

from tests.proxy_drains import seen_to
from tests.proxy_world import PATIENCE, Received, World, eventually, world
from tests.proxy_ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    aiohttp_replica,
    asked,
    close_frame,
    echoes,
    encode,
    library_replica,
    read_frame,
    switching,
    tunnel,
    upgrade,
)

MIB = 1024 * 1024
# What a library may send, from the first to the last; RFC 6455 section 7.4 keeps the others off the wire.
CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4001, 4999]


@contextlib.asynccontextmanager
async def library(
    folder: Path, handler: Callable[[ServerConnection], Awaitable[None]], **options: Any
) -> AsyncIterator[tuple[World, Callable[..., connect]]]:
    """Yield a proxy before a server of `websockets`, and how its client connects through the proxy."""
    async with library_replica("app-1.1", handler, **options) as replica, world(folder) as lab:
        await lab.join(replica)
        await lab.admit(replica)

        def through(path: str = "/ws", **options: Any) -> connect:
            options = {"max_size": None, "ping_interval": None, "close_timeout": PATIENCE, **options}
            return connect(f"ws://127.0.0.1:{lab.port}{path}", proxy=None, **options)

        yield lab, through


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def deflates(connection: ClientConnection) -> bool:
    return any(isinstance(each, PerMessageDeflate) for each in connection.protocol.extensions)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_messages_of_any_size_come_back_as_they_were_sent(tmp_path: Path, compression: str | None) -> None:
    async with library(tmp_path, echo) as (_, through), through(compression=compression) as client:
        assert deflates(client) == (compression is not None)
        for size in (0, 1, 125, 126, 65535, 65536, 8 * MIB):
            for message in (os.urandom(size), "ö" * (size // 2)):
                await client.send(message)
                assert await asyncio.wait_for(client.recv(), PATIENCE) == message


async def test_eight_megabytes_go_both_ways_at_once(tmp_path: Path) -> None:
    down, up, got = os.urandom(8 * MIB), os.urandom(8 * MIB), []

    async def both(connection: ServerConnection) -> None:
        sending = asyncio.create_task(connection.send(down))
        got.append(await connection.recv())
        await sending

    async with library(tmp_path, both) as (_, through), through() as client:
        sending = asyncio.create_task(client.send(up))
        assert await asyncio.wait_for(client.recv(), PATIENCE) == down
        await sending
        with pytest.raises(ConnectionClosed):
            await client.recv()
    assert got == [up]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_fragmented_message_keeps_its_fragments(tmp_path: Path, compression: str | None) -> None:
    fragments, seen = ["one", "", "two" * 100, "3" * 70_000], []

    async def repeat(connection: ServerConnection) -> None:
        seen.extend([fragment async for fragment in connection.recv_streaming()])
        await connection.send(seen)

    async with library(tmp_path, repeat) as (_, through), through(compression=compression) as client:
        await client.send(fragments)
        came = [fragment async for fragment in client.recv_streaming()]
        # the library ends a fragmented message with an empty frame of its own
        assert (
            [each for each in seen if each] == [each for each in came if each] == [each for each in fragments if each]
        )


async def test_what_comes_between_the_fragments_stays_between_them(tmp_path: Path) -> None:
    frames = [Frame(TEXT, b"a", fin=False), Frame(PING, b"now"), Frame(CONTINUATION, b"b", fin=False)]
    frames += [Frame(PONG, b"unasked"), Frame(CONTINUATION, b"c")]
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port) as (reader, writer):
            writer.write(b"".join(encode(frame, masked=True) for frame in frames))
            assert [await read_frame(reader) for _ in frames] == frames


async def test_pings_keep_their_payload_both_ways(tmp_path: Path) -> None:
    pinged: asyncio.Queue[float] = asyncio.Queue()

    async def pings(connection: ServerConnection) -> None:
        for payload in (b"", b"from the app", bytes(range(125))):
            # answered only by a pong of the very same payload
            pinged.put_nowait(await (await connection.ping(payload)))
        await echo(connection)

    async with library(tmp_path, pings) as (_, through), through() as client:
        for payload in (b"", b"from the client", bytes(range(125))):
            await asyncio.wait_for(await client.ping(payload), PATIENCE)
        for _ in range(3):
            await asyncio.wait_for(pinged.get(), PATIENCE)


@pytest.mark.parametrize("code", CODES)
async def test_a_close_code_and_its_reason_arrive_whoever_closes(tmp_path: Path, code: int) -> None:
    seen: list[tuple[int | None, str | None]] = []

    async def closes(connection: ServerConnection) -> None:
        if connection.request is not None and connection.request.path == "/app":
            await connection.close(code, "the app's reason")
        await connection.wait_closed()
        seen.append((connection.close_code, connection.close_reason))

    async with library(tmp_path, closes) as (_, through):
        async with through("/app") as client:
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (code, "the app's reason")
        async with through("/client") as client:
            await client.close(code, "the client's reason")
        await eventually(lambda: len(seen) == 2)
    assert (code, "the client's reason") in seen


@pytest.mark.parametrize("close", [Frame(CLOSE), close_frame(1004), close_frame(1016), close_frame(2999, "x" * 123)])
async def test_a_close_that_no_library_sends_arrives_too(tmp_path: Path, close: Frame) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port) as (reader, writer):
            writer.write(encode(close, masked=True))
            assert await read_frame(reader) == close
            assert await reader.read() == b""


async def test_aiohttp_s_own_client_and_server_are_as_content(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0, protocols=["chat.v2"], compress=True)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
            if message.data == b"leave":
                await socket.close(code=4001, message=b"asked to")
        return socket

    async with aiohttp_replica("app-1.1", handler) as replica, world(tmp_path) as lab, aiohttp.ClientSession() as http:
        await lab.join(replica)
        await lab.admit(replica)
        url = f"http://127.0.0.1:{lab.port}/ws"
        async with http.ws_connect(url, max_msg_size=0, protocols=["chat.v1", "chat.v2"], compress=15) as client:
            assert (client.protocol, client.compress) == ("chat.v2", 15)
            for message in (b"small", os.urandom(8 * MIB), b"leave"):
                await client.send_bytes(message)
                assert await client.receive_bytes(timeout=PATIENCE) == message
            closing = await client.receive(timeout=PATIENCE)
            assert (closing.data, closing.extra, client.close_code) == (4001, "asked to", 4001)


async def test_bytes_that_come_along_with_the_handshake_are_not_lost(tmp_path: Path) -> None:
    async def eager(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request) + encode(Frame(TEXT, b"welcome")))
        await echo_rest(_reader, writer)

    async def echo_rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(encode(await read_frame(reader)))

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", eager)
        async with tunnel(lab.port) as (reader, writer):
            assert await read_frame(reader) == Frame(TEXT, b"welcome")
            writer.write(encode(Frame(TEXT, b"thanks"), masked=True))
            assert await read_frame(reader) == Frame(TEXT, b"thanks")


async def test_a_client_that_has_nothing_more_to_say_still_hears_the_rest(tmp_path: Path) -> None:
    told = asyncio.Event()

    async def goes_on(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request))
        assert await reader.read() == encode(Frame(TEXT, b"last words"), masked=True)
        told.set()
        for number in range(3):
            writer.write(encode(Frame(BINARY, bytes([number]) * 70_000)))
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", goes_on)
        async with tunnel(lab.port) as (reader, writer):
            writer.write(encode(Frame(TEXT, b"last words"), masked=True))
            writer.write_eof()
            await asyncio.wait_for(told.wait(), PATIENCE)
            assert [(await read_frame(reader)).payload[:1] for _ in range(3)] == [b"\0", b"\1", b"\2"]
            assert await reader.read() == b""


async def test_an_app_that_has_nothing_more_to_say_still_hears_the_rest(tmp_path: Path) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listens(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request) + encode(Frame(TEXT, b"last words")))
        writer.write_eof()
        heard.set_result(await reader.read())

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", listens)
        async with tunnel(lab.port) as (reader, writer):
            assert await read_frame(reader) == Frame(TEXT, b"last words")
            assert await reader.read() == b""
            said = [encode(Frame(BINARY, bytes([number]) * 70_000), masked=True) for number in range(3)]
            for each in said:
                writer.write(each)
                await writer.drain()
            writer.write_eof()
            assert await asyncio.wait_for(heard, PATIENCE) == b"".join(said)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 3\r\n\r\nold",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nnot a ws..",
        b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    ],
    ids=["426", "200", "403"],
)
async def test_a_declined_upgrade_is_an_answer_like_any_other(tmp_path: Path, answer: bytes) -> None:
    async def declines(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", declines)
        await lab.change("PUT", "/v1/run", run="r1")
        first, second = await asked(lab.port, upgrade())
        assert str(first.status).encode() in answer
        assert (first.body, second.status) == (
            {426: b"old", 200: b"not a ws..", 403: b"no"}[first.status],
            first.status,
        )
        assert [request.target for request in replica.requests] == ["/ws", "/after"]
        assert (await lab.seen(replica))["websockets"] == 0
        await lab.change("DELETE", "/v1/run")
        ends = [line["result"] for line in lab.ledger("r1") if line["e"] == "end"]
        assert ends == ["ok", "ok"]


async def test_the_handshake_reaches_the_app_as_the_client_made_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", echoes)
        extras = (
            "Sec-WebSocket-Protocol: a, b",
            "Sec-WebSocket-Extensions: permessage-deflate",
            "Origin: http://x.test",
        )
        async with tunnel(lab.port, *extras):
            (request,) = replica.requests
            for extra in extras:
                name, value = extra.split(": ")
                assert request.one(name) == value
            assert (request.one("Upgrade"), request.one("Connection").lower()) == ("websocket", "upgrade")


async def test_an_open_websocket_is_in_flight_and_counted_as_what_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", echoes)
        await lab.change("PUT", "/v1/run", run="r1")
        async with tunnel(lab.port) as (reader, writer):
            seen = await seen_to(lab, replica, lambda found: found["websockets"] == 1)
            assert (seen["in_flight"], seen["streams"]) == (1, 0)
            await lab.retire(replica)
            assert (await lab.seen(replica))["place"] == "draining"
            writer.write(encode(close_frame(1000), masked=True))
            assert await read_frame(reader) == close_frame(1000)
        seen = await lab.removable(replica)
        assert (seen["websockets"], seen["cut"], seen["aborted"]) == (0, 0, 0)
        await lab.change("DELETE", "/v1/run")
        assert [line["result"] for line in lab.ledger("r1") if line["e"] == "end"] == ["ok"]


async def test_a_client_that_is_gone_is_gone_for_the_app_too(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port):
            pass
        await asyncio.wait_for(replica.gone.wait(), PATIENCE)
        await seen_to(lab, replica, lambda found: found["in_flight"] == 0)


async def test_an_app_that_is_gone_is_gone_for_the_client_too(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port) as (reader, _):
            await replica.kill()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""


async def test_a_client_that_reads_nothing_holds_the_app_back_not_the_proxy_s_memory(tmp_path: Path) -> None:
    sent = itertools.count()
    count = 0

    async def floods(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        writer.write(switching(request))
        while True:
            writer.write(encode(Frame(BINARY, bytes(65536))))
            await writer.drain()
            count = next(sent)

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", floods)
        async with tunnel(lab.port) as (reader, _):
            reader._transport.pause_reading()
            await _stands_still(lambda: count)
            assert count * 65536 < 32 * MIB


async def _stands_still(count: Callable[[], int]) -> None:
    async with asyncio.timeout(PATIENCE):
        before = -1
        while count() != before:
            before = count()
            await asyncio.sleep(0.3)
