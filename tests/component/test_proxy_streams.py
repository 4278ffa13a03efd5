"""Event streams: every event at once and as it was sent; at the drain's deadline the end comes between two of them."""

import asyncio
import gzip
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_drains import ended, past_the_deadline, retire, seen_to, until_left
from tests.proxy_world import (
    PATIENCE,
    Received,
    Responder,
    connected,
    eventually,
    get,
    read_answer,
    read_head,
    send,
    world,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def says(*pieces: bytes, head: bytes = CHUNKED) -> Responder:
    """Respond as a replica that sends these pieces and then leaves the stream open."""

    async def respond(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for piece in pieces:
            writer.write(chunk(piece) if head is CHUNKED else piece)
            await writer.drain()
        await until_left(request, reader, writer)

    return respond


async def dechunked(reader: asyncio.StreamReader, *, to: bytes = b"\0") -> bytes:
    """Read chunks until the body has ended cleanly, or until what has come ends so."""
    body = b""
    while not body.endswith(to) and (size := int(await reader.readuntil(b"\r\n"), 16)):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body


async def test_an_event_arrives_while_the_app_s_handler_is_still_open(tmp_path: Path) -> None:
    go_on = asyncio.Semaphore(0)

    async def paced(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        for number in range(3):
            await go_on.acquire()
            writer.write(chunk(b"data: %d\n\n" % number))
        await go_on.acquire()
        writer.write(b"0\r\n\r\n")

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", paced)
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            for number in range(3):
                go_on.release()
                assert await dechunked(reader, to=b"\n\n") == b"data: %d\n\n" % number
            go_on.release()
            assert await dechunked(reader) == b""


async def test_nothing_is_compressed_and_nothing_is_added(tmp_path: Path) -> None:
    events = b": hello\n\nid: 1\ndata: " + b"x" * 5000 + b"\n\n"

    async def once(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(events) + b"0\r\n\r\n")

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", once)
        answer = await send(lab.port, get("/stream", "Accept-Encoding: gzip, br", "Last-Event-ID: 7"))
        assert answer.body == events
        assert "content-encoding" not in answer.headers
        assert answer.headers["content-type"] == "text/event-stream"
        (request,) = replica.requests
        assert (request.one("Accept-Encoding"), request.one("Last-Event-ID")) == ("gzip, br", "7")


async def test_an_open_stream_is_in_flight_and_counted_as_what_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(b"data: 1\n\n"))
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            seen = await seen_to(lab, replica, lambda found: found["streams"] == 1)
            assert (seen["in_flight"], seen["websockets"]) == (1, 0)
        await asyncio.wait_for(replica.gone.wait(), PATIENCE)
        assert (await seen_to(lab, replica, lambda found: found["in_flight"] == 0))["streams"] == 0


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("cut_up", [False, True], ids=["whole", "byte by byte"])
async def test_between_two_events_a_stream_ends_cleanly(tmp_path: Path, end: bytes, cut_up: bool) -> None:
    events = [b"event: tick" + end[: len(end) // 2] + b"data: %d" % number + end for number in range(3)]
    pieces = [bytes([byte]) for byte in b"".join(events)] if cut_up else events
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", says(*pieces))
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            assert await dechunked(reader, to=b"data: 2" + end) == b"".join(events)
            seen = await retire(lab, replica, stream_deadline_ms=20)
            assert seen["streams"] == 1
            assert await dechunked(reader) == b"", "the end was not clean"
        assert await ended(lab, replica) == (1, 0, ["cut"])
        await eventually(lambda: replica.open_connections == 0)


@pytest.mark.parametrize(
    "head",
    [
        CHUNKED.replace(b"text/event-stream", b"Text/Event-Stream; charset=utf-8"),
        # its end is its connection's, which the client is not to see
        HEAD + b"\r\n",
    ],
    ids=["spelt otherwise", "without a length"],
)
async def test_however_it_is_put_it_is_an_event_stream(tmp_path: Path, head: bytes) -> None:
    event = b"data: 1\n\n"
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", says(chunk(event) if b"chunked" in head else event, head=head))
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            assert await dechunked(reader, to=event) == event
            assert (await retire(lab, replica, deadline_ms=20_000, stream_deadline_ms=0))["streams"] == 1
            assert await dechunked(reader) == b""
        assert await ended(lab, replica) == (1, 0, ["cut"])


async def test_while_the_app_goes_on_sending_only_whole_events_arrive(tmp_path: Path) -> None:
    def event(number: int) -> bytes:
        return b"id: %d\n" % number + b"data: line of an event\n" * 3000 + b"\n"

    async def endless(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        number = 0
        while True:
            whole = event(number)
            for piece in (whole[:30_000], whole[30_000:]):
                writer.write(chunk(piece))
                await writer.drain()
            number += 1

    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", endless)
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            body = await dechunked(reader, to=b"\n")
            await retire(lab, replica, stream_deadline_ms=30)
            body += await dechunked(reader)
        count = body.count(b"\n\n")
        assert body == b"".join(event(number) for number in range(count))
        assert await ended(lab, replica) == (1, 0, ["cut"])


async def test_an_event_that_ends_a_little_late_is_waited_for(tmp_path: Path) -> None:
    rest = asyncio.Event()

    async def hesitates(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + chunk(b"data: begun"))
        await rest.wait()
        writer.write(chunk(b" and ended\n\ndata: too late\n\n"))
        await asyncio.Event().wait()

    async with world(tmp_path, limits=Limits(cut_grace_seconds=PATIENCE)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", hesitates)
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            await dechunked(reader, to=b"begun")
            await retire(lab, replica, deadline_ms=0)
            await past_the_deadline(lab, replica)
            assert (await lab.seen(replica))["place"] == "draining"
            rest.set()
            assert await dechunked(reader) == b" and ended\n\n"
        assert await ended(lab, replica) == (1, 0, ["cut"])


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        (CHUNKED, b"data: 1\n\ndata: never ended"),
        # of these the proxy cannot make a clean end, wherever they stand
        (HEAD + b"Content-Length: 1000\r\n\r\n", b"data: 1\n\n"),
        (HEAD + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", chunk(gzip.compress(b"x\n\n")[:-4])),
    ],
    ids=["in an event", "a promised length", "compressed"],
)
async def test_a_stream_that_cannot_end_cleanly_is_cut_visibly(tmp_path: Path, head: bytes, sent: bytes) -> None:
    async with world(tmp_path, limits=Limits(cut_grace_seconds=0.1)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", says(sent, head=head))
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            await reader.readuntil(sent[-8:])
            await retire(lab, replica, stream_deadline_ms=0)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readuntil(b"0\r\n\r\n")
        assert await ended(lab, replica) == (0, 1, ["aborted_at_drain"])


async def test_an_old_client_s_stream_ends_with_its_connection_and_not_with_a_reset(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", says(b"data: 1\n\n"))
        async with connected(lab.port) as (reader, writer):
            writer.write(b"GET /stream HTTP/1.0\r\nHost: lab.test\r\n\r\n")
            await read_head(reader)
            await reader.readuntil(b"data: 1\n\n")
            await retire(lab, replica, stream_deadline_ms=0)
            assert await reader.read() == b""
        assert (await lab.removable(replica))["cut"] == 1


async def test_after_a_cut_the_client_may_ask_again_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        old = await lab.serve("app-1.1", says(b"data: 1\n\n"))
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            await dechunked(reader, to=b"\n\n")
            new = await lab.serve("app-2.1", says(b"data: 2\n\n"))
            await retire(lab, old, stream_deadline_ms=0)
            assert await dechunked(reader) == b""
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream", "Last-Event-ID: 1"))
            await read_head(reader)
            assert await dechunked(reader, to=b"\n\n") == b"data: 2\n\n"
        assert [request.one("Last-Event-ID") for request in new.requests] == ["1"]


async def test_a_stream_has_a_deadline_of_its_own(tmp_path: Path) -> None:
    """It is cut at its own, the short request is aborted at its own, and each is counted as what it was."""

    async def respond(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.target == "/stream":
            await says(b"data: 1\n\n")(request, reader, writer)
        await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/stream"))
            await read_head(reader)
            short = asyncio.create_task(send(lab.port, get("/short")))
            await seen_to(lab, replica, lambda found: found["in_flight"] == 2)
            await retire(lab, replica, deadline_ms=40, stream_deadline_ms=20_000)
            assert (await short).headers["x-lab-proxy"] == "drain-deadline"
            seen = await seen_to(lab, replica, lambda found: found["in_flight"] == 1)
            assert (seen["place"], seen["streams"], seen["aborted"], seen["cut"]) == ("draining", 1, 1, 0)
            await retire(lab, replica, deadline_ms=20_000, stream_deadline_ms=0)
            assert await dechunked(reader) == b"data: 1\n\n"
        seen = await lab.removable(replica)
        assert (seen["aborted"], seen["cut"]) == (1, 1)


async def test_an_answer_that_is_no_event_stream_is_never_ended_cleanly(tmp_path: Path) -> None:
    plain = CHUNKED.replace(b"text/event-stream", b"text/plain")
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", says(chunk(b"looks like an event\n\n"), head=plain))
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/export"))
            await reader.readuntil(b"event\n\n")
            await retire(lab, replica, deadline_ms=0, stream_deadline_ms=20_000)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await read_answer(reader)
        assert await ended(lab, replica) == (0, 1, ["aborted_at_drain"])
