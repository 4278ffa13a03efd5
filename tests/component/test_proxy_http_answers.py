"""An answer as its client gets it: what the replica said, less what was the hop's, in a framing the client knows."""

import asyncio
import contextlib
import gzip
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_oracle import converse
from tests.proxy_wire import Said, read_answer, understand
from tests.proxy_world import Received, Responder, connected, eventually, get, world

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
AT_ONCE = 8


def says(raw: bytes, *, then_close: bool = False) -> Responder:
    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if then_close:
            writer.close()

    return respond


def passed_on(answer: Said) -> list[tuple[bytes, bytes]]:
    return [field for field in answer.fields if field[0].decode().lower() not in {"via", "connection"}]


async def hear(port: int, raw: bytes = b"", *, head_only: bool = False) -> Said:
    heard = await converse(port, raw or get("/", "Connection: close"), head_only=head_only)
    assert heard.unsound is None, heard.raw
    (answer,) = heard.answers
    return answer


def expected_body(method: str, status: int, body: bytes) -> bytes:
    return b"" if method == "HEAD" or status in {204, 304} else body


async def test_every_status_comes_through_with_a_body_without_one_and_for_head(tmp_path: Path) -> None:
    async def respond(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, status, body = request.target.split("/")
        bare = request.method == "HEAD" or status in {"204", "304"}
        length = "" if status == "204" else f"Content-Length: {len(body)}\r\n"
        writer.write(f"HTTP/1.1 {status} Reason {status}\r\n{length}\r\n{'' if bare else body}".encode())

    wanted = [(method, status, body) for status in range(200, 600) for method in ("GET", "HEAD") for body in ("", "b")]
    wrong: list[tuple[str, int, str, Said]] = []

    async def client(mine: list[tuple[str, int, str]]) -> None:
        async with connected(lab.port) as (reader, writer):
            for method, status, body in mine:
                writer.write(f"{method} /{status}/{body} HTTP/1.1\r\nHost: lab.test\r\n\r\n".encode())
                raw = await reader.readuntil(b"\r\n\r\n")
                head_only = method == "HEAD"
                raw += b"" if head_only or status in {204, 304} else await reader.readexactly(len(body))
                (answer,) = understand(raw, head_only=head_only).answers
                length = [] if status == 204 else [str(len(body))]
                found = (answer.first.decode(), answer.every("Content-Length"), answer.body)
                if found != (
                    f"HTTP/1.1 {status} Reason {status}",
                    length,
                    expected_body(method, status, body.encode()),
                ):
                    wrong.append((method, status, body, answer))

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(client(wanted[number::AT_ONCE]))
        assert wrong == []
        assert len(replica.requests) == len(wanted)


async def test_order_case_and_repetition_of_fields_are_kept_and_only_via_is_added(tmp_path: Path) -> None:
    fields = [
        (b"x-b", b"2"),
        (b"ETag", b'W/"x"'),
        (b"Set-Cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        (b"set-cookie", b"b=2"),
        (b"WWW-Authenticate", b'Basic realm="a", Digest realm="b"'),
        (b"X-Lab-Version", b"v1"),
        (b"x-b", b"3"),
        (b"X-Bytes", b"\xc3\xa9\xff"),
        (b"X-Empty", b""),
        (b"Content-Length", b"2"),
    ]
    raw = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\nok"
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw))
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            found = read_answer(await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2))
        assert found is not None
        assert passed_on(found[0]) == fields
        assert found[0].every("Via") == ["1.1 rolling-lab"]
        assert found[0].every("Connection") == []


async def test_the_proxy_adds_itself_to_those_an_answer_came_through(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 200 OK\r\nVia: 1.0 inner\r\nX: 1\r\nVia: 1.1 outer\r\nContent-Length: 0\r\n\r\n"
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw))
        assert ", ".join((await hear(lab.port)).every("Via")) == "1.0 inner, 1.1 outer, 1.1 rolling-lab"


async def test_hop_by_hop_fields_of_an_answer_end_at_the_proxy(tmp_path: Path) -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\nConnection: X-One\r\nX-One: 1\r\nX-Kept: 1\r\nconnection: x-two,close\r\nX-TWO: 2\r\n"
        b"Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nTrailer: X\r\nContent-Length: 2\r\n\r\nok"
    )
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw, then_close=True))
        assert passed_on(await hear(lab.port)) == [(b"X-Kept", b"1"), (b"Content-Length", b"2")]


async def test_the_proxys_own_fields_are_on_its_own_answers_only(tmp_path: Path) -> None:
    raw = b"HTTP/1.1 503 No\r\nX-Lab-Proxy: no-ready-replica\r\nX-Lab-Replica: app-1.1\r\nContent-Length: 0\r\n\r\n"
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw))
        answer = await hear(lab.port, get("/", "X-Lab-Request-Id: mine", "Connection: close"))
        assert passed_on(answer) == [(b"X-Lab-Replica", b"app-1.1"), (b"Content-Length", b"0")]


@pytest.mark.parametrize(
    ("raw", "closes"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok", True),
    ],
)
async def test_an_old_replica_does_not_make_the_client_old(tmp_path: Path, raw: bytes, closes: bool) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", says(raw, then_close=closes))
        async with connected(lab.port) as (reader, writer):
            for _ in range(2):
                writer.write(get())
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"Connection: close" not in head
                body = (
                    await reader.readexactly(2)
                    if b"Content-Length: 2" in head
                    else await reader.readuntil(b"0\r\n\r\n")
                )
                assert b"ok" in body


@pytest.mark.parametrize(
    ("method", "head", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", ["99"]),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ["0"]),
        ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", []),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", ["99"]),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", []),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", []),
        ("GET", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", ["0"]),
    ],
)
async def test_an_answer_without_a_body_says_how_long_it_would_have_been(
    tmp_path: Path, method: str, head: bytes, length: list[str]
) -> None:
    async with world(tmp_path) as lab:
        upstream = await lab.serve("app-1.1", says(head))
        async with connected(lab.port) as (reader, writer):
            for _ in range(2):
                writer.write(f"{method} / HTTP/1.1\r\nHost: lab.test\r\n\r\n".encode())
                (answer,) = understand(await reader.readuntil(b"\r\n\r\n"), head_only=True).answers
                assert answer.every("Content-Length") == length
            assert len(upstream.requests) == 2


async def test_what_is_compressed_stays_as_it_is(tmp_path: Path) -> None:
    packed = gzip.compress(b"hello " * 1000, mtime=0)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    got = []

    async def respond(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append((request.one("Content-Encoding"), await reader.readexactly(len(packed))))
        writer.write(head + packed)

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        raw = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        answer = await hear(lab.port, raw % len(packed) + packed)
        assert (answer.body, answer.one("Content-Encoding"), got) == (packed, "gzip", [("gzip", packed)])


async def test_events_are_passed_on_one_by_one_and_never_compressed(tmp_path: Path) -> None:
    more = asyncio.Semaphore(0)

    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            event = b"data: %d\n\n" % number
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await more.acquire()
        writer.write(b"0\r\n\r\n")

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/", "Accept-Encoding: gzip, deflate, br"))
            assert b"content-encoding" not in (await reader.readuntil(b"\r\n\r\n")).lower()
            for number in range(3):
                await reader.readuntil(b"data: %d\n\n" % number)
                more.release()
            await reader.readuntil(b"0\r\n\r\n")


@pytest.mark.parametrize("http10", [False, True])
async def test_a_body_in_any_framing_reaches_any_client_whole(tmp_path: Path, http10: bool) -> None:
    body = bytes(range(256)) * 3000
    pieces = [body[at : at + 4001] for at in range(0, len(body), 4001)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    answers = {
        "/length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
        "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
        "/close": b"HTTP/1.1 200 OK\r\n\r\n" + body,
    }

    async def respond(request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[request.target])
        await writer.drain()
        if request.target == "/close":
            writer.close()

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", respond)
        for target in answers:
            line = f"GET {target} HTTP/1.{0 if http10 else 1}\r\nHost: lab.test\r\nConnection: close\r\n\r\n"
            heard = await converse(lab.port, line.encode())
            assert b"chunked" not in heard.raw or not http10
            found = heard.raw.split(b"\r\n\r\n", 1)[1] if http10 else heard.answers[0].body
            assert found == body


async def test_every_error_of_the_proxys_own_has_one_form(tmp_path: Path) -> None:
    limits = Limits(hold_seconds=0, request_line=1000, first_byte_seconds=0.1)
    mine = "X-Lab-Request-Id: mine"

    async def silent(_request: Received, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with world(tmp_path, limits=limits) as lab:

        async def refused(status: int, reason: str, raw: bytes, *, id: str | None = "mine") -> None:
            heard = await converse(lab.port, raw)
            assert [(answer.status, answer.reason) for answer in heard.answers] == [(status, reason)], heard.raw
            (answer,) = heard.answers
            assert id is None or answer.one("X-Lab-Request-Id") == id
            assert answer.raw_head.startswith(b"HTTP/1.1 ")

        closing = get("/", mine, "Connection: close")
        await refused(503, "no-ready-replica", closing)
        replica = await lab.serve("app-1.1", silent)
        await refused(504, "upstream-timeout", closing)
        await refused(400, "bad-request", get("/", mine, "X : 1"), id=None)
        await refused(414, "bad-request", get("/" + "a" * 2000, mine), id=None)
        await refused(405, "bad-request", b"TRACE / HTTP/1.1\r\nHost: h\r\n" + mine.encode() + b"\r\n\r\n")
        await refused(508, "loop", get("/", mine, "Via: 1.1 rolling-lab", "Connection: close"))
        await replica.kill()
        heard = await converse(lab.port, closing)
        assert heard.reasons in (["connect-failed"], ["no-ready-replica"])
        head = await hear(lab.port, b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", head_only=True)
        assert (head.body, int(head.one("Content-Length")) > 0) == (b"", True)


@pytest.mark.parametrize("bad", [b"zz\r\n", b"5\nhello\r\n", b"5\r\nhelloXX", b"0\r\nX : 1\r\n\r\n", b"", b"5\r\nhel"])
async def test_an_answer_that_goes_wrong_after_its_head_breaks_off_visibly(tmp_path: Path, bad: bytes) -> None:
    go_on = asyncio.Event()

    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await go_on.wait()
        writer.write(bad)
        if bad in {b"", b"5\r\nhel"}:
            writer.close()

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            raw = await reader.readuntil(b"half\r\n")
            go_on.set()
            with contextlib.suppress(ConnectionError):
                raw += await reader.read()
        heard = understand(raw)
        assert heard.answers == ()
        assert heard.unsound is not None
        assert heard.unsound.startswith("cut:")
        await eventually(lambda: replica.open_connections == 0)
