"""Messages that are nearly those before them on the same connections: nothing of one may be taken for another's."""

import asyncio
import random
from pathlib import Path

from tests.proxy_oracle import Oracle, rotate
from tests.proxy_repeats import ask_alike
from tests.proxy_wire import understand
from tests.proxy_world import Received, connected, get, read_answer, send, world

STEPS = 600


async def test_no_request_is_taken_for_the_one_before_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        assert await ask_alike(lab.port, upstream, random.Random(9112), STEPS) == []
        assert len(upstream.complete) == STEPS
        assert len({seen.id for seen in upstream.complete}) > STEPS / 10


ANSWERS = [
    (200, "OK", ["Content-Length: 5"], b"hello"),
    (200, "OK", ["Content-Length: 5"], b"world"),
    (404, "OK", ["Content-Length: 5"], b"hello"),
    (200, "Fine", ["Content-Length: 5"], b"hello"),
    (200, "OK", ["content-length: 5"], b"hello"),
    (200, "OK", ["Content-Length: 2"], b"hi"),
    (200, "OK", ["X-A: 1", "Content-Length: 5"], b"hello"),
    (200, "OK", ["Content-Length: 5", "X-A: 1"], b"hello"),
    (200, "OK", ["Content-Length: 5", "Connection: x-a", "X-A: 1"], b"hello"),
    (304, "OK", ["Content-Length: 5"], b""),
    (204, "OK", [], b""),
    (200, "OK", ["Transfer-Encoding: chunked"], b"hello"),
]


async def test_no_answer_is_taken_for_the_one_before_it(tmp_path: Path) -> None:
    async def respond(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, reason, fields, body = ANSWERS[int(request.target[1:])]
        head = "\r\n".join([f"HTTP/1.1 {status} {reason}", *fields, "", ""]).encode()
        framed = b"5\r\nhello\r\n0\r\n\r\n" if "chunked" in str(fields) else body
        writer.write(head + (b"" if request.method == "HEAD" else framed))

    chance = random.Random(9112)
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            number = 0
            for _ in range(STEPS):
                number = chance.choice([number, chance.randrange(len(ANSWERS))])
                method = chance.choice(["GET", "GET", "HEAD"])
                writer.write(f"{method} /{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                status, reason, fields, body = ANSWERS[number]
                raw = await reader.readuntil(b"\r\n\r\n")
                head_only = method == "HEAD"
                if body and not head_only:
                    raw += await (
                        reader.readuntil(b"0\r\n\r\n") if b"chunked" in raw else reader.readexactly(len(body))
                    )
                (answer,) = understand(raw, head_only=head_only).answers
                kept = [
                    line for line in fields if line.startswith(("X", "C", "c")) and not line.startswith("Connection")
                ]
                kept = [line for line in kept if not (line.startswith("X-A") and "Connection: x-a" in fields)]
                assert answer.first.decode() == f"HTTP/1.1 {status} {reason}"
                assert answer.body == (b"" if head_only else body)
                found = [
                    f"{n.decode()}: {v.decode()}" for n, v in answer.fields if n not in {b"Via", b"Transfer-Encoding"}
                ]
                assert found == kept, (method, number)


async def test_an_answer_in_like_words_of_an_older_version_does_not_keep_its_connection(tmp_path: Path) -> None:
    used: list[int] = []

    async def respond(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        used.append(id(reader))
        writer.write(f"HTTP/1.{request.target[1:]} 200 OK\r\nContent-Length: 2\r\n\r\nok".encode())

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            for version in (1, 1, 0, 1):
                writer.write(f"GET /{version} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                assert (await read_answer(reader)).body == b"ok"
        assert [used[0] == each for each in used] == [True, True, True, False]


async def test_what_the_proxy_answers_itself_is_not_taken_for_what_was_asked_before_it(tmp_path: Path) -> None:
    plain = b"GET /a HTTP/1.1\r\nHost: lab.test\r\n\r\n"
    here = b"OPTIONS /b HTTP/1.1\r\nHost: lab.test\r\nMax-Forwards: 0\r\n\r\n"
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        async with connected(lab.port) as (reader, writer):
            for request in (plain, plain, here, here, plain, here):
                writer.write(request)
                reason = (await read_answer(reader)).headers.get("x-lab-proxy")
                assert reason == ("answered-here" if request is here else None)
        assert [request.target for request in replica.requests] == ["/a"] * 3


async def test_an_answer_told_before_is_told_to_each_client_as_its_version_and_its_connection_want(
    tmp_path: Path,
) -> None:
    old = b"GET / HTTP/1.0\r\nHost: lab.test\r\nConnection: keep-alive\r\n\r\n"
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1")
        for _ in range(4):
            assert "connection" not in (await send(lab.port, get())).headers
        async with connected(lab.port) as (reader, writer):
            for _ in range(3):
                writer.write(old)
                answer = await read_answer(reader)
                assert (answer.headers["connection"], answer.body) == ("keep-alive", b"hello")
        assert (await send(lab.port, get("/", "Connection: close"))).headers["connection"] == "close"
