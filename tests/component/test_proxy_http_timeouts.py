"""How long a replica may take, at each step of an answer."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_oracle import converse
from tests.proxy_world import Received, Responder, connected, eventually, get, send, world

SOON = 0.15
# What a limit of 0.15 s may take on a busy machine; the next larger limit is 10 s.
CEILING = 5.0


@contextlib.contextmanager
def nobody_accepts(port: int) -> Iterator[None]:
    """Listen where no connection comes about: the queue is full, and the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield


async def test_a_replica_that_accepts_no_connection_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(connect_seconds=SOON, hold_seconds=0, eject_errors=1000)) as lab:
        replica = await lab.replica("app-1.1")
        await lab.join(replica, interval_ms=60_000)
        await lab.admit(replica)
        await replica.kill()
        with nobody_accepts(replica.port):
            began = time.monotonic()
            answer = await send(lab.port, b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
            assert (answer.status, answer.headers["x-lab-proxy"]) == (502, "connect-failed")
            assert SOON * 0.9 <= time.monotonic() - began < CEILING


def silent_after(head: bytes) -> Responder:
    async def respond(_request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await reader.read()

    return respond


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_first_byte_has_to_come_in_time(tmp_path: Path, method: str) -> None:
    async with world(tmp_path, limits=Limits(first_byte_seconds=SOON)) as lab:
        replica = await lab.serve("app-1.1", silent_after(b""))
        await lab.change("PUT", "/v1/run", run="r1")
        raw = f"{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode()
        began = time.monotonic()
        answer = await send(lab.port, raw)
        assert (answer.status, answer.headers["x-lab-proxy"]) == (504, "upstream-timeout")
        assert SOON * 0.9 <= time.monotonic() - began < CEILING
        assert len(replica.requests) == 1
        await eventually(lambda: replica.open_connections == 0)
        await lab.change("DELETE", "/v1/run")
        assert [line["result"] for line in lab.ledger("r1") if line["e"] == "end"] == ["timeout"]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nhalf",
    ],
)
async def test_an_answer_that_falls_silent_breaks_off_visibly(tmp_path: Path, head: bytes) -> None:
    async with world(tmp_path, limits=Limits(idle_answer_seconds=SOON)) as lab:
        replica = await lab.serve("app-1.1", silent_after(head))
        heard = await converse(lab.port, get())
        assert (heard.closed, heard.answers) == (True, ())
        assert b"half" in heard.raw
        await eventually(lambda: replica.open_connections == 0)


async def test_an_event_stream_may_be_silent(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def events(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        await go_on.wait()
        writer.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    async with world(tmp_path, limits=Limits(idle_answer_seconds=SOON, first_byte_seconds=SOON)) as lab:
        await lab.serve("app-1.1", events)
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            await reader.readuntil(b"data: 1\n\n")
            await asyncio.sleep(SOON * 4)
            go_on.set()
            await reader.readuntil(b"data: 2\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("begun", [False, True])
async def test_an_answer_has_to_end_in_time_where_that_is_asked_for(tmp_path: Path, begun: bool) -> None:
    async def dribble(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with world(tmp_path, limits=Limits(total_seconds=0.3)) as lab:
        replica = await lab.serve("app-1.1", dribble if begun else silent_after(b""))
        began = time.monotonic()
        heard = await converse(lab.port, get("/", "Connection: close"))
        assert heard.closed
        assert 0.27 <= time.monotonic() - began < CEILING
        if begun:
            assert heard.answers == ()
        else:
            assert [(answer.status, answer.reason) for answer in heard.answers] == [(504, "upstream-timeout")]
        await eventually(lambda: replica.open_connections == 0)
