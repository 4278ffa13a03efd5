"""At its deadline a WebSocket ends in order: a Close 1001 between two frames, and nobody is waited for."""

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from proxy.settings import Limits
from tests.proxy_drains import ended, past_the_deadline, retire, seen_to
from tests.proxy_world import PATIENCE, Received, Responder, get, send, world
from tests.proxy_ws import (
    BINARY,
    CLOSE,
    CONTINUATION,
    TEXT,
    Frame,
    close_frame,
    echoes,
    encode,
    library_replica,
    read_frame,
    switching,
    tunnel,
)

GOING_AWAY = 1001
LARGE = 256 * 1024


def whole(number: int) -> list[Frame]:
    return [Frame(BINARY, bytes([number % 256]) * LARGE)]


def in_fragments(number: int) -> list[Frame]:
    piece = bytes([number % 256]) * (LARGE // 3)
    return [Frame(BINARY, piece, fin=False), Frame(CONTINUATION, piece, fin=False), Frame(CONTINUATION, piece)]


def tiny(number: int) -> list[Frame]:
    return [Frame(TEXT, b"%d" % number)] * 100


def streams(message: Any) -> Responder:
    async def respond(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request))
        number = 0
        while True:
            writer.write(b"".join(encode(frame) for frame in message(number)))
            await writer.drain()
            await asyncio.sleep(0.001)
            number += 1

    return respond


@pytest.mark.parametrize("message", [whole, in_fragments, tiny])
async def test_while_the_app_streams_the_close_comes_between_two_frames(tmp_path: Path, message: Any) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", streams(message))
        async with tunnel(lab.port) as (reader, writer):
            came = [await read_frame(reader)]
            await retire(lab, replica, websocket_deadline_ms=30)
            while came[-1].opcode != CLOSE:
                came.append(await read_frame(reader))
            writer.write(encode(close_frame(GOING_AWAY), masked=True))
            assert await reader.read() == b"", "something came after the Close"
        assert came.pop().code == GOING_AWAY
        sent = [frame for number in range(len(came)) for frame in message(number)]
        assert came == sent[: len(came)]
        assert await ended(lab, replica) == (1, 0, ["cut"])


async def _reads_only(client: ClientConnection, message: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            assert await client.recv() == message


async def _sends_for_ever(client: ClientConnection) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await client.send(bytes(LARGE))
            await asyncio.sleep(0)


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_library_s_client_reads_whole_messages_and_then_1001(tmp_path: Path, compression: str | None) -> None:
    block = os.urandom(LARGE) + bytes(LARGE)

    async def handler(connection: ServerConnection) -> None:
        while True:
            await connection.send(block)

    async with library_replica("app-1.1", handler) as replica, world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.join(replica)
        await lab.admit(replica)
        url = f"ws://127.0.0.1:{lab.port}/ws"
        async with connect(url, proxy=None, max_size=None, compression=compression) as client:
            assert await client.recv() == block
            await retire(lab, replica, websocket_deadline_ms=50)
            with pytest.raises(ConnectionClosed) as closed:
                await _reads_only(client, block)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == GOING_AWAY
        assert await ended(lab, replica) == (1, 0, ["cut"])


async def test_a_client_that_goes_on_sending_still_hears_why_it_ended(tmp_path: Path) -> None:
    """Closed with its bytes unread, the connection would be reset, and the Close lost on the way."""

    async def swallows(connection: ServerConnection) -> None:
        async for _ in connection:
            pass

    async with library_replica("app-1.1", swallows) as replica, world(tmp_path) as lab:
        await lab.join(replica)
        await lab.admit(replica)
        async with connect(f"ws://127.0.0.1:{lab.port}/ws", proxy=None, compression=None) as client:
            await client.send(bytes(LARGE))
            await retire(lab, replica, websocket_deadline_ms=50)
            with pytest.raises(ConnectionClosed):
                await _sends_for_ever(client)
            assert client.close_code == GOING_AWAY


async def test_a_silent_websocket_is_closed_and_no_reply_is_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port) as (reader, writer):
            await retire(lab, replica, websocket_deadline_ms=0)
            assert await ended(lab, replica) == (1, 0, ["cut"])
            assert not writer.is_closing()
            assert replica.open_connections == 0
            assert (await read_frame(reader)).code == GOING_AWAY
            assert await reader.read() == b"", "the client's connection outlived its time"


async def test_the_client_s_own_close_ends_it_at_once(tmp_path: Path) -> None:
    """A client leaves it to the server to close the connection: waited for, it would be late to come back."""
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port) as (reader, writer):
            await retire(lab, replica, websocket_deadline_ms=0)
            assert (await read_frame(reader)).code == GOING_AWAY
            writer.write(encode(close_frame(GOING_AWAY), masked=True))
            began = time.monotonic()
            assert await reader.read() == b""
            assert time.monotonic() - began < 0.8


async def test_a_frame_that_never_ends_is_aborted_and_nothing_is_written_into_it(tmp_path: Path) -> None:
    half = encode(Frame(BINARY, bytes(1000)))[:500]

    async def stalls(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request) + half)
        await asyncio.Event().wait()

    async with world(tmp_path, limits=Limits(cut_grace_seconds=0.1)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", stalls)
        async with tunnel(lab.port) as (reader, _):
            assert await reader.readexactly(500) == half
            await retire(lab, replica, websocket_deadline_ms=0)
            assert await ended(lab, replica) == (0, 1, ["aborted_at_drain"])
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""


async def test_a_frame_that_ends_a_little_late_is_waited_for(tmp_path: Path) -> None:
    frame, rest = Frame(BINARY, os.urandom(100_000)), asyncio.Event()

    async def hesitates(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request) + encode(frame)[:-1])
        await rest.wait()
        writer.write(encode(frame)[-1:] + encode(Frame(TEXT, b"too late")))
        await asyncio.Event().wait()

    async with world(tmp_path, limits=Limits(cut_grace_seconds=PATIENCE)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", hesitates)
        async with tunnel(lab.port) as (reader, _):
            seen = await retire(lab, replica, deadline_ms=0)
            assert seen["websockets"] == 1
            await past_the_deadline(lab, replica)
            rest.set()
            assert await read_frame(reader) == frame
            assert (await read_frame(reader)).code == GOING_AWAY
        assert await ended(lab, replica) == (1, 0, ["cut"])


async def test_a_client_that_reads_nothing_keeps_no_replica(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(cut_grace_seconds=0.1)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", streams(whole))
        async with tunnel(lab.port) as (reader, _):
            reader._transport.pause_reading()
            await asyncio.sleep(0.2)  # until all that lies between is full: there is no event for that
            await retire(lab, replica, websocket_deadline_ms=0)
            cut, aborted, _ = await ended(lab, replica)
            assert cut + aborted == 1


async def test_a_close_that_the_app_has_sent_is_the_only_one(tmp_path: Path) -> None:
    async def closes(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request) + encode(close_frame(4000, "by the app")))
        await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", closes)
        async with tunnel(lab.port) as (reader, _):
            assert await read_frame(reader) == close_frame(4000, "by the app")
            await retire(lab, replica, websocket_deadline_ms=0)
            assert await reader.read() == b""
        await lab.removable(replica)


@pytest.mark.parametrize("who", ["client", "app"])
async def test_a_websocket_that_one_side_has_half_closed_is_ended_too(tmp_path: Path, who: str) -> None:
    told = asyncio.Event()

    async def half_closes(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(switching(request))
        if who == "app":
            writer.write_eof()
        await reader.read()
        told.set()
        await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", half_closes)
        async with tunnel(lab.port) as (reader, writer):
            if who == "client":
                writer.write_eof()
                await asyncio.wait_for(told.wait(), PATIENCE)
            else:
                assert await reader.read() == b""
            await retire(lab, replica, websocket_deadline_ms=0)
            cut, aborted, _ = await ended(lab, replica)
            assert cut + aborted <= 1
            if who == "client":
                assert (await read_frame(reader)).code == GOING_AWAY


async def test_a_websocket_on_another_replica_does_not_notice(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        old = await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port) as (ending, _):
            new = await lab.serve("app-2.1", echoes)
            await lab.retire(old)
            async with tunnel(lab.port) as (reader, writer):
                assert (await lab.seen(new))["websockets"] == 1
                await retire(lab, old, deadline_ms=0)
                assert (await read_frame(ending)).code == GOING_AWAY
                await lab.removable(old)
                await old.kill()
                await lab.remove(old)
                writer.write(encode(Frame(TEXT, b"still there?"), masked=True))
                assert await read_frame(reader) == Frame(TEXT, b"still there?")


async def test_each_class_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    """A short request is aborted at its own while the WebSocket goes on; then that has its turn."""

    async def respond(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.target == "/ws":
            await echoes(request, reader, writer)
        await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with tunnel(lab.port) as (reader, writer):
            short = asyncio.create_task(send(lab.port, get("/short")))
            await seen_to(lab, replica, lambda found: found["in_flight"] == 2)
            await retire(lab, replica, deadline_ms=30, websocket_deadline_ms=20_000)
            assert (await short).headers["x-lab-proxy"] == "drain-deadline"
            seen = await seen_to(lab, replica, lambda found: found["in_flight"] == 1)
            assert (seen["place"], seen["websockets"], seen["aborted"]) == ("draining", 1, 1)
            writer.write(encode(Frame(TEXT, b"alive"), masked=True))
            assert await read_frame(reader) == Frame(TEXT, b"alive")
            await retire(lab, replica, deadline_ms=20_000, websocket_deadline_ms=30)
            assert (await read_frame(reader)).code == GOING_AWAY
        seen = await lab.removable(replica)
        assert (seen["aborted"], seen["cut"]) == (1, 1)


async def test_a_websocket_s_deadline_leaves_the_short_requests_alone(tmp_path: Path) -> None:
    answer = asyncio.Event()

    async def respond(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.target == "/ws":
            await echoes(request, reader, writer)
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with tunnel(lab.port) as (reader, _):
            short = asyncio.create_task(send(lab.port, get("/short")))
            await seen_to(lab, replica, lambda found: found["in_flight"] == 2)
            await retire(lab, replica, deadline_ms=20_000, websocket_deadline_ms=0)
            assert (await read_frame(reader)).code == GOING_AWAY
            seen = await seen_to(lab, replica, lambda found: found["in_flight"] == 1)
            assert (seen["place"], seen["websockets"], seen["cut"]) == ("draining", 0, 1)
            answer.set()
            assert (await short).status == 200
        await lab.removable(replica)
