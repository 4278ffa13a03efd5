"""Bodies go through as they come, at the pace of the slower side; a cut one is never taken for a whole one."""

import asyncio
import contextlib
import hashlib
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_world import Received, connected, eventually, get, read_answer, read_body, send, world

BIG = bytes(range(256)) * (5 * 4096)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _echo(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = await read_body(reader, request.headers)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@pytest.mark.parametrize("chunked", [False, True])
async def test_five_mebibytes_arrive_whole_both_ways(tmp_path: Path, chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(BIG)
    head = b"POST / HTTP/1.1\r\nHost: lab.test\r\n" + framing + b"\r\n\r\n"
    body = b"%x\r\n" % len(BIG) + BIG + b"\r\n0\r\n\r\n" if chunked else BIG
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.serve("app-1.1", _echo)
        answer = await send(lab.port, head + body)
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(BIG).digest()
        end = lab.ledger("r1")[-1]
        assert (end["bytes_up"], end["bytes_down"]) == (len(BIG), len(BIG))


async def test_a_part_is_passed_on_before_the_next_one_exists(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def in_parts(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", in_parts)
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            await asyncio.wait_for(reader.readuntil(b"one\r\n"), 5)
            go_on.set()
            await asyncio.wait_for(reader.readuntil(b"two\r\n0\r\n\r\n"), 5)


async def test_a_client_that_does_not_read_holds_the_replica_back(tmp_path: Path) -> None:
    written = 0
    ended = asyncio.Event()

    async def flood(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(CHUNKED)
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
                written += 65536
        finally:
            ended.set()

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", flood)
        async with connected(lab.port) as (_, writer):
            writer.write(get())
            before = -1
            while before != written:
                before = written
                await asyncio.sleep(0.2)
            # What the kernel's four socket buffers hold, not what the replica has to give.
            assert 0 < written < 64 * 1024 * 1024
            writer.transport.abort()
            await asyncio.wait_for(ended.wait(), 5)


async def test_a_replica_that_does_not_read_holds_the_client_back(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.holding("app-1.1")
        async with connected(lab.port) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 64 * 1024 * 1024:
                    writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                    await asyncio.wait_for(writer.drain(), 0.3)
                    sent += 65536
            assert sent < 64 * 1024 * 1024


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        CHUNKED + b"9\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n",
        CHUNKED + b"4\r\nhalf\r\nnot a size\r\n",
    ],
)
async def test_an_answer_cut_short_is_cut_for_the_client_too(tmp_path: Path, cut: bytes) -> None:
    async def breaks_off(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(cut)
        writer.close()

    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.serve("app-1.1", breaks_off)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await send(lab.port, get())
        assert lab.ledger("r1")[-1]["result"] == ("malformed" if b"not a size" in cut else "truncated")


async def test_a_cut_answer_is_a_reset_where_only_the_end_of_the_connection_ends_it(tmp_path: Path) -> None:
    async def breaks_off(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"4\r\nhalf\r\n")
        writer.close()

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", breaks_off)
        with pytest.raises(ConnectionResetError):
            await send(lab.port, b"GET / HTTP/1.0\r\n\r\n")


async def test_a_client_that_leaves_takes_its_request_from_the_replica(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def listens(_request: Received, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.readexactly(1)

    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", listens)
        async with connected(lab.port) as (_, writer):
            writer.write(get())
            await arrived.wait()
            writer.transport.abort()
            await asyncio.wait_for(replica.gone.wait(), 5)
            entry = lab.server.gateway.table.entries["app-1.1"]
            await eventually(lambda: entry.in_flight == 0)
            assert lab.ledger("r1")[-1]["result"] == "client_gone"


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_told_to_the_replica(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", _echo)
        async with connected(lab.port) as (_, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 9\r\n\r\nhalf")
            await eventually(lambda: len(replica.requests) == 1)
            writer.transport.abort()
            await asyncio.wait_for(replica.gone.wait(), 5)
            await eventually(lambda: lab.server.gateway.table.entries["app-1.1"].in_flight == 0)


async def test_a_malformed_body_is_the_clients_fault(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", _echo)
        async with connected(lab.port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            await eventually(lambda: len(replica.requests) == 1)
            writer.write(b"zz\r\n")
            answer = await asyncio.wait_for(read_answer(reader), 5)
            assert (answer.status, answer.headers["x-lab-proxy"]) == (400, "bad-request")


async def test_a_replica_that_answers_before_it_has_the_whole_body_is_heard(tmp_path: Path) -> None:
    async def too_large(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", too_large)
        async with connected(lab.port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 9\r\n\r\nhalf")
            assert (await asyncio.wait_for(read_answer(reader), 5)).status == 413
            writer.write(b"whole" + get())
            assert (await asyncio.wait_for(read_answer(reader), 5)).status == 413


@pytest.mark.parametrize("begun", [False, True])
async def test_a_replica_that_stalls_is_given_up(tmp_path: Path, begun: bool) -> None:
    async def stalls(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED if begun else b"")
        await asyncio.Event().wait()

    async with world(tmp_path, limits=Limits(first_byte_seconds=0.05, idle_answer_seconds=0.05)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.serve("app-1.1", stalls)
        if begun:
            with pytest.raises(asyncio.IncompleteReadError):
                await send(lab.port, get())
        else:
            answer = await send(lab.port, get())
            assert (answer.status, answer.headers["x-lab-proxy"]) == (504, "upstream-timeout")
        assert lab.ledger("r1")[-1]["result"] == "timeout"


async def test_a_client_that_stalls_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(client_seconds=0.05)) as lab:
        await lab.serve("app-1.1", _echo)
        answer = await send(lab.port, b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 9\r\n\r\nhalf")
        assert (answer.status, answer.headers["x-lab-proxy"]) == (408, "header-timeout")
