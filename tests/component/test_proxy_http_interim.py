"""What comes beside an answer: interim answers before it, trailers after it."""

import asyncio
from pathlib import Path

import pytest

from tests.proxy_oracle import Oracle, converse, rotate
from tests.proxy_world import Received, Responder, connected, get, send, world

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = get("/", "Connection: close")


def says(raw: bytes, *, then_close: bool = False) -> Responder:
    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if then_close:
            writer.close()

    return respond


INTERIM = (
    b"HTTP/1.1 102 Processing\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
    b"HTTP/1.1 103 Early Hints\r\nLink: </b>\r\nLink: </c>\r\n\r\n"
)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_interim_answers_are_passed_on_in_order(tmp_path: Path, method: str) -> None:
    bare = OK[:-2] if method == "HEAD" else OK
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(INTERIM + bare))
        raw = f"{method} / HTTP/1.1\r\nHost: lab.test\r\nConnection: close\r\n\r\n".encode()
        heard = await converse(lab.port, raw, head_only=method == "HEAD")
        *interim, last, body = heard.raw.split(b"\r\n\r\n")
        found = [(head.split(b"\r\n")[0], head.count(b"Link: ")) for head in interim]
        assert found == [
            (b"HTTP/1.1 102 Processing", 0),
            (b"HTTP/1.1 103 Early Hints", 1),
            (b"HTTP/1.1 103 Early Hints", 2),
        ]
        assert b"X-Hop" not in heard.raw
        assert last.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == (b"" if method == "HEAD" else b"ok")


async def test_an_interim_answer_is_passed_on_before_there_is_another(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        await go_on.wait()
        writer.write(OK)

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 103")
            go_on.set()
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_client_of_http_1_0_is_spared_interim_answers(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(INTERIM + OK))
        heard = await converse(lab.port, b"GET / HTTP/1.0\r\n\r\n")
        assert heard.raw.startswith(b"HTTP/1.1 200 OK")


async def test_100_continue_is_said_once_even_if_the_replica_says_it_too(tmp_path: Path) -> None:
    async def respond(_request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readexactly(2)
        writer.write(OK)

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        raw = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        async with connected(lab.port) as (reader, writer):
            writer.write(raw)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hi")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")


async def test_interim_answers_have_an_end(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20_000, then_close=True))
        heard = await converse(lab.port, get("/", "Connection: close"))
        assert [(answer.status, answer.reason) for answer in heard.answers] == [(502, "bad-answer")]


async def test_trailers_are_dropped_together_with_their_announcement(tmp_path: Path) -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=1\r\n\r\n"
    )
    async with world(tmp_path) as lab:
        upstream = await lab.serve("app-1.1", says(raw))
        for _ in range(2):
            (answer,) = (await converse(lab.port, CLOSING)).answers
            assert (answer.body, answer.names.count("trailer")) == (b"hello", 0)
            assert {"x-sum", "set-cookie", "content-length"}.isdisjoint(answer.names)
        assert len(upstream.requests) == 2


async def test_trailers_of_a_request_are_dropped_together_with_their_announcement(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        head = b"POST / HTTP/1.1\r\nHost: lab.test\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await send(lab.port, head + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n")).status == 200
        assert upstream.last.body == b"hello"
        assert {"trailer", "x-sum", "x-other"}.isdisjoint(upstream.last.names)
