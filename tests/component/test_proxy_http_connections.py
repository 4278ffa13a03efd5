"""How a client's connection goes on and ends: kept, pipelined, cut in any place, left by either side."""

import asyncio
import contextlib
from pathlib import Path

import pytest

import proxy
from tests.proxy_oracle import Oracle, converse, ledger_of, rotate
from tests.proxy_wire import understand
from tests.proxy_world import Received, connected, get, read_answer, read_body, send, world

POST = b"POST /cut HTTP/1.1\r\nHost: lab.test\r\nX-Lab-Request-Id: cut\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        POST + b"Content-Length: 5\r\n\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n",
    ],
)
async def test_a_request_may_come_in_any_two_pieces(tmp_path: Path, raw: bytes) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        for cut in range(1, len(raw)):
            heard = await converse(lab.port, raw[:cut], raw[cut:])
            assert [answer.body for answer in heard.answers] == [b"cut"], raw[:cut]
        assert {(seen.target, seen.body) for seen in upstream.seen} == {("/cut", b"hello")}
        assert len(upstream.seen) == len(raw) - 1
        assert upstream.unsound == []


async def test_a_request_may_come_byte_by_byte(tmp_path: Path) -> None:
    raw = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        heard = await converse(lab.port, *(raw[at : at + 1] for at in range(len(raw))))
        assert [answer.body for answer in heard.answers] == [b"cut"]
        assert upstream.last.body == b"hello"


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_may_come_byte_by_byte(tmp_path: Path, chunked: bool) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    if chunked:
        raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nX: 1\r\n\r\n"

    async def dribble(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in raw:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", dribble)
        for _ in range(2):
            assert (await send(lab.port, get())).body == b"hello"
        assert len(replica.requests) == 2


async def test_pipelined_requests_are_answered_in_order_one_after_another(tmp_path: Path) -> None:
    at_once = most = 0

    async def slower_first(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await read_body(reader, request.headers)
        await asyncio.sleep(0.02 if request.target == "/0" else 0)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request.target), request.target.encode())
        )
        at_once -= 1

    count = 500
    raws = [get(f"/{number}") for number in range(count)]
    raws[1::3] = [raw.replace(b"GET", b"POST")[:-2] + b"Content-Length: 2\r\n\r\nhi" for raw in raws[1::3]]
    raws[-1] = get(f"/{count - 1}", "Connection: close")
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", slower_first)
        heard = await converse(lab.port, b"".join(raws))
        assert [answer.body.decode() for answer in heard.answers] == [f"/{number}" for number in range(count)]
        assert heard.closed
        assert most == 1


@pytest.mark.parametrize(
    "junk", [b"\x00", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00"]
)
async def test_what_was_answered_stays_answered_when_nonsense_follows(tmp_path: Path, junk: bytes) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/", "X-Lab-Request-Id: good"))
            assert (await read_answer(reader)).body == b"good"
            writer.write(junk)
            raw = await reader.read()
        assert [(answer.status, answer.reason, answer.closes) for answer in understand(raw).answers] == [
            (400, "bad-request", True)
        ]
        assert len(upstream.seen) == 1


async def test_nonsense_after_a_request_in_flight_does_not_take_its_answer_away(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            await replica.arrived.acquire()
            writer.write(b"\x00nonsense\r\n\r\n")
            replica.held.release()
            heard = understand(await reader.read())
        said = [(answer.status, answer.reason) for answer in heard.answers]
        assert said in ([(200, None)], [(200, None), (400, "bad-request")])


@pytest.mark.parametrize(
    ("line", "field", "kept"),
    [
        ("HTTP/1.1", "X: 1", True),
        ("HTTP/1.1", "Connection: close", False),
        ("HTTP/1.1", "connection: X, CLOSE", False),
        ("HTTP/1.0", "X: 1", False),
        ("HTTP/1.0", "Connection: keep-alive", True),
    ],
)
async def test_a_connection_is_kept_as_its_client_wishes(tmp_path: Path, line: str, field: str, kept: bool) -> None:
    async with world(tmp_path) as lab:
        await rotate(lab, Oracle())
        async with connected(lab.port) as (reader, writer):
            for _ in range(2 if kept else 1):
                writer.write(f"GET / {line}\r\nHost: lab.test\r\n{field}\r\n\r\n".encode())
                answer = await read_answer(reader)
                assert answer.status == 200
            said = answer.headers.get("connection", "").lower()
            assert said == ("keep-alive" if line == "HTTP/1.0" else "") if kept else said == "close" or line[-1] == "0"
            assert kept or await reader.read() == b""


async def test_a_client_that_shuts_its_side_counts_as_gone(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def listens(_request: Received, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.readexactly(1)

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", listens)
        await lab.change("PUT", "/v1/run", run="r1")
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        writer.write(get())
        await arrived.wait()
        writer.write_eof()
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        async with asyncio.timeout(5):
            await replica.gone.wait()
        writer.close()
        await lab.change("DELETE", "/v1/run")
        assert [line["result"] for line in lab.ledger("r1") if line["e"] == "end"] == ["client_gone"]


async def test_a_client_that_leaves_a_download_takes_it_from_the_replica(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def forever(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            stopped.set()

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", forever)
        async with connected(lab.port) as (reader, writer):
            writer.write(get())
            await reader.readexactly(100_000)
        async with asyncio.timeout(5):
            await stopped.wait()
        assert (await lab.state())["replicas"][0]["in_flight"] == 0


@pytest.mark.parametrize("closes", [False, True])
async def test_a_replica_that_answers_early_is_heard_while_the_body_still_comes(tmp_path: Path, closes: bool) -> None:
    async def refuse(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        if closes:
            writer.close()
        else:
            await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", refuse)
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        uploading = asyncio.create_task(_upload(writer))
        try:
            async with asyncio.timeout(5):
                answer = await read_answer(reader)
            assert (answer.status, answer.body) == (403, b"no")
        finally:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)
            writer.transport.abort()


async def test_a_connection_with_half_a_request_on_it_carries_no_other(tmp_path: Path) -> None:
    used: list[tuple[str, int]] = []

    async def early(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        used.append((request.target, id(reader)))
        writer.write(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
        if request.method == "POST":
            await reader.read()

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", early)
        async with connected(lab.port) as (reader, writer):
            writer.write(b"POST /half HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 9\r\n\r\nhalf")
            assert (await read_answer(reader)).status == 403
            assert (await send(lab.port, get("/other"))).status == 403
            async with asyncio.timeout(5):
                await replica.gone.wait()
        assert [target for target, _ in used] == ["/half", "/other"]
        assert used[0][1] != used[1][1]


async def _upload(writer: asyncio.StreamWriter) -> None:
    writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"4000\r\n" + b"x" * 16384 + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.001)


async def test_a_proxy_that_stops_says_so_on_its_last_answers(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        async with connected(lab.port) as (idle, _), connected(lab.port) as (reader, writer):
            writer.write(get())
            await replica.arrived.acquire()
            stopping = asyncio.create_task(lab.stop(5))
            assert await idle.read() == b""
            replica.held.release()
            answer = await read_answer(reader)
            assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"hello", "close")
            assert await reader.read() == b""
            await stopping


async def test_ids_of_pipelined_requests_are_never_mixed_up(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        upstream = await rotate(lab, Oracle())
        await lab.change("PUT", "/v1/run", run="r1")

        async def client(name: str) -> None:
            raws = [get("/", f"X-Lab-Request-Id: {name}-{number}") for number in range(20)]
            heard = await converse(lab.port, *raws, get("/", f"X-Lab-Request-Id: {name}-20", "Connection: close"))
            assert [answer.body.decode() for answer in heard.answers] == [f"{name}-{number}" for number in range(21)]

        await asyncio.gather(*(client(f"c{number}") for number in range(20)))
        begun = await ledger_of(lab, "r1")
        assert begun.attempts == begun.answered
        assert sorted(begun.attempts) == sorted(seen.attempt for seen in upstream.seen)


def test_no_client_library_repeats_a_request_behind_the_proxys_back() -> None:
    package = Path(proxy.__file__).parent
    assert [file.name for file in package.glob("*.py") if "ClientSession" in file.read_text()] == []
