"""What a client may take of the proxy: each bound felt by the one who goes over it, and by nobody else."""

import asyncio
import contextlib
import time
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_oracle import Oracle, converse, ledger_of, rotate
from tests.proxy_wire import Conversation, understand
from tests.proxy_world import Received, connected, eventually, get, read_answer, send, world

SOON = 0.15
# What a limit of 0.15 s may take on a busy machine, and what it may not: the next larger limit, all of which are 10 s.
CEILING = 5.0
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def refusal(heard: Conversation) -> tuple[int, str | None]:
    """Return the one answer's status and reason; the connection is closed, as the answer says."""
    assert heard.closed, "the connection was left open"
    assert heard.unsound is None, heard.raw
    (answer,) = heard.answers
    assert answer.closes
    return answer.status, answer.reason


def fields_of(size: int) -> list[str]:
    """Return fields that are so many bytes together, with a little left for those that every request has."""
    return [f"X-{number}: {'a' * 90}" for number in range(size // 100)]


@pytest.mark.parametrize("over", [False, True])
async def test_the_request_line_is_bounded(tmp_path: Path, over: bool) -> None:
    async with world(tmp_path, limits=Limits(request_line=500)) as lab:
        upstream = await rotate(lab, Oracle())
        room = 500 - len("GET / HTTP/1.1\r\n")
        target = "/" + "a" * (room + 10 if over else room - 10)
        if not over:
            assert (await send(lab.port, get(target))).status == 200
            assert upstream.last.target == target
            return
        assert refusal(await converse(lab.port, get(target))) == (414, "bad-request")
        assert upstream.seen == []


async def test_the_usual_bounds_are_what_the_settings_say(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        assert (await send(lab.port, get("/" + "a" * 8000))).status == 200
        assert (await send(lab.port, get("/", *fields_of(30_000)[:95]))).status == 200
        assert (await send(lab.port, get("/", "X: " + "a" * 8000, "Y: " + "b" * 8000))).status == 200
        assert refusal(await converse(lab.port, get("/" + "a" * 8300))) == (414, "bad-request")
        assert refusal(await converse(lab.port, get("/", *(f"X: {n}" for n in range(105))))) == (431, "bad-request")
        long = [f"X-{n}: {'a' * 4000}" for n in range(9)]
        assert refusal(await converse(lab.port, get("/", *long))) == (431, "bad-request")
        assert len(upstream.seen) == 3


@pytest.mark.parametrize("raw", [b"GET /" + b"a" * 200_000, b"a" * 200_000])
async def test_a_request_line_without_an_end_is_not_waited_for(tmp_path: Path, raw: bytes) -> None:
    async with world(tmp_path) as lab:
        heard = await converse(lab.port, raw)
        assert refusal(heard) in {(414, "bad-request"), (400, "bad-request")}


@pytest.mark.parametrize(
    "raw",
    [
        get()[:-2] + b"X: " + b"a" * 200_000,
        get()[:-2] + b"X" * 200_000,
        get()[:-2] + b"X: a\r\n" * 40_000,
        get()[:-2] + b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(90)),
    ],
)
async def test_fields_without_an_end_are_not_waited_for(tmp_path: Path, raw: bytes) -> None:
    async with world(tmp_path) as lab:
        assert refusal(await converse(lab.port, raw)) == (431, "bad-request")


@pytest.mark.parametrize("pieces", [1, 40])
async def test_all_fields_together_are_bounded_however_they_come(tmp_path: Path, pieces: int) -> None:
    async with world(tmp_path, limits=Limits(header_bytes=2000)) as lab:
        upstream = await rotate(lab, Oracle())
        for size, fits in ((1700, True), (2300, False)):
            raw = get("/", "Connection: close", *fields_of(size))
            step = len(raw) // pieces + 1
            heard = await converse(lab.port, *(raw[at : at + step] for at in range(0, len(raw), step)))
            assert [answer.status for answer in heard.answers] == [200 if fits else 431]
        assert len(upstream.seen) == 1


async def test_the_number_of_fields_is_bounded(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(header_count=20)) as lab:
        upstream = await rotate(lab, Oracle())
        assert (await send(lab.port, get("/", *("X: 1" for _ in range(18))))).status == 200
        assert refusal(await converse(lab.port, get("/", *("X: 1" for _ in range(25))))) == (431, "bad-request")
        assert len(upstream.seen) == 1


async def test_every_request_of_a_connection_has_its_own_bounds(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(header_bytes=2000, header_count=20)) as lab:
        upstream = await rotate(lab, Oracle())
        raw = get("/", *fields_of(1500))
        heard = await converse(lab.port, raw * 5 + get("/", "Connection: close"))
        assert [answer.status for answer in heard.answers] == [200] * 6
        assert len(upstream.seen) == 6


@pytest.mark.parametrize("wait", [False, True])
async def test_a_body_that_says_it_is_too_large_is_refused_unseen(tmp_path: Path, wait: bool) -> None:
    async with world(tmp_path, limits=Limits(body_bytes=1000)) as lab:
        upstream = await rotate(lab, Oracle())
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" + (b"Expect: 100-continue\r\n" if wait else b"")
        if not wait:
            assert (await send(lab.port, head % 1000 + b"\r\n" + b"x" * 1000)).status == 200
        heard = await converse(lab.port, head % 1001 + b"\r\n" + (b"" if wait else b"x" * 1001))
        assert refusal(heard) == (413, "body-too-large")
        assert len(upstream.seen) == (0 if wait else 1)


async def test_a_body_in_chunks_is_refused_when_it_gets_too_large(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(body_bytes=1000)) as lab:
        upstream = await rotate(lab, Oracle())
        chunk = b"fa\r\n" + b"x" * 250 + b"\r\n"
        assert (await send(lab.port, CHUNKED_POST + chunk * 4 + b"0\r\n\r\n")).status == 200
        heard = await converse(lab.port, CHUNKED_POST, *([chunk] * 5), b"0\r\n\r\n")
        assert refusal(heard) == (413, "body-too-large")
        assert [seen.complete for seen in upstream.seen if seen.complete] == [True]


async def test_a_body_is_not_bounded_unless_told(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await rotate(lab, Oracle())
        body = b"x" * 3_000_000
        raw = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert (await send(lab.port, raw + body)).status == 200


HALVES = [b"G", b"GET / HT", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX: ", get()[:-1], b"\r\n"]


@pytest.mark.parametrize("half", HALVES)
async def test_a_head_has_to_come_in_time(tmp_path: Path, half: bytes) -> None:
    async with world(tmp_path, limits=Limits(header_seconds=SOON)) as lab:
        began = time.monotonic()
        assert refusal(await converse(lab.port, half)) == (408, "header-timeout")
        assert SOON * 0.9 <= time.monotonic() - began < CEILING


async def test_a_head_that_trickles_in_gains_no_time_by_it(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(header_seconds=0.3)) as lab:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)

        async def trickle() -> None:
            writer.write(get()[:-2])
            while True:
                writer.write(b"X: 1\r\n")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        try:
            async with asyncio.timeout(CEILING):
                raw = await reader.readuntil(b"\r\n\r\n")
            assert raw.startswith(b"HTTP/1.1 408")
        finally:
            trickling.cancel()
            await asyncio.gather(trickling, return_exceptions=True)
            writer.transport.abort()


async def test_the_time_for_a_head_is_each_requests_own(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(header_seconds=0.3, idle_seconds=30)) as lab:
        await rotate(lab, Oracle())
        async with connected(lab.port) as (reader, writer):
            for _ in range(4):
                writer.write(get())
                assert (await read_answer(reader)).status == 200
                await asyncio.sleep(0.12)
            writer.write(get()[:-2])
            heard = understand(await reader.read())
        assert refusal(heard) == (408, "header-timeout")


async def test_a_slow_answer_is_no_slow_head(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(header_seconds=SOON, idle_seconds=SOON)) as lab:
        replica = await lab.holding("app-1.1")
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            await replica.arrived.acquire()
            await asyncio.sleep(SOON * 4)
            replica.held.release()
            assert (await read_answer(reader)).body == b"hello"


@pytest.mark.parametrize("used", [False, True])
async def test_an_idle_connection_is_closed_without_a_word(tmp_path: Path, used: bool) -> None:
    async with world(tmp_path, limits=Limits(idle_seconds=SOON, header_seconds=30)) as lab:
        await rotate(lab, Oracle())
        began = time.monotonic()
        async with connected(lab.port) as (reader, writer):
            if used:
                writer.write(get())
                await read_answer(reader)
            assert await reader.read() == b""
        assert SOON * 0.9 <= time.monotonic() - began < CEILING


@pytest.mark.parametrize("framing", [b"Content-Length: 9", b"Transfer-Encoding: chunked"])
async def test_a_body_that_stops_coming_is_given_up_on_both_sides(tmp_path: Path, framing: bytes) -> None:
    async with world(tmp_path, limits=Limits(client_seconds=SOON)) as lab:
        upstream = await rotate(lab, Oracle())
        await lab.change("PUT", "/v1/run", run="r1")
        heard = await converse(lab.port, b"POST / HTTP/1.1\r\nHost: h\r\n" + framing + b"\r\n\r\n", b"4\r\n")
        assert refusal(heard) == (408, "header-timeout")
        await eventually(lambda: bool(upstream.seen))
        assert [seen.complete for seen in upstream.seen] == [False]
        assert not (await ledger_of(lab, "r1")).answered


async def test_a_body_that_keeps_coming_has_all_the_time_it_needs(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(client_seconds=0.5, header_seconds=0.5)) as lab:
        await rotate(lab, Oracle())
        async with connected(lab.port) as (reader, writer):
            writer.write(CHUNKED_POST)
            for _ in range(12):
                writer.write(b"1\r\nx\r\n")
                await asyncio.sleep(0.08)
            writer.write(b"0\r\n\r\n")
            assert (await read_answer(reader)).status == 200


async def test_a_client_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def flood(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
        finally:
            left.set()

    async with world(tmp_path, limits=Limits(client_seconds=0.3)) as lab:
        await lab.serve("app-1.1", flood)
        async with connected(lab.port) as (_, writer):
            writer.write(get())
            async with asyncio.timeout(CEILING):
                await left.wait()


async def test_connections_are_bounded_and_one_that_ends_makes_room(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(connections=5)) as lab:
        await rotate(lab, Oracle())
        async with contextlib.AsyncExitStack() as stack:
            held = [await stack.enter_async_context(connected(lab.port)) for _ in range(5)]
            for reader, writer in held:
                writer.write(get())
                assert (await read_answer(reader)).status == 200
            assert refusal(await converse(lab.port, get())) == (503, "too-many-connections")
            for reader, writer in held:
                writer.write(get())
                assert (await read_answer(reader)).status == 200
            held[0][1].transport.abort()

            for _ in range(200):
                heard = await converse(lab.port, get("/", "Connection: close"))
                if heard.reasons == [None]:
                    break
                await asyncio.sleep(0.01)
            assert heard.reasons == [None]
