"""Event streams and WebSockets of the app, read as they come; none of them needs a database."""

import asyncio
import contextlib
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator

import aiohttp
import jsonschema
import psutil
import pytest
from aiohttp import WSCloseCode, WSMsgType

from sample_app import envelope

NOWHERE = {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p", "dbname": "d"}
PATIENCE = 15.0
GRACE = {"APP_GRACE_SECONDS": "60"}  # a replica that waited for it would outlast the tests' patience


@pytest.fixture(scope="module")
def app(start_shared):
    replica = start_shared(NOWHERE, ready=False)
    assert replica.port
    return replica


@pytest.fixture
def stopped_soon(start_app):
    """A replica of the test's own: it is told to stop."""
    replica = start_app(NOWHERE, ready=False, **GRACE)
    assert replica.port
    return replica


class Reader:
    """One GET on a connection of its own, read chunk by chunk."""

    def __init__(self, port: int, path: str, request_id: str, *, room: int | None = None) -> None:
        self.id = request_id
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if room is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: app\r\nX-Lab-Request-Id: {request_id}\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")

    def head(self) -> dict[str, str]:
        assert self.file.readline().startswith(b"HTTP/1.1 200 ")
        lines = iter(self.file.readline, b"\r\n")
        return {name.lower(): value.strip() for name, value in (line.decode().split(":", 1) for line in lines)}

    def chunk(self) -> bytes:
        """Empty for the last one; ValueError where the body breaks off."""
        data = self.file.read(int(self.file.readline(), 16))
        assert self.file.readline() == b"\r\n"
        return data

    def event(self) -> tuple[int, envelope.Opened]:
        name, data, *rest = self.chunk().split(b"\n")
        assert rest == [b"", b""]
        opened = envelope.unseal(data.removeprefix(b"data: "), request_id=self.id)
        return int(name.removeprefix(b"id: ")), opened

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@contextlib.contextmanager
def reading(app, path: str, request_id: str, **options: int) -> Iterator[Reader]:
    with contextlib.closing(Reader(app.port, path, request_id, **options)) as reader:
        yield reader


@contextlib.asynccontextmanager
async def talking(app, request_id: str, **options: object) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    headers = {"X-Lab-Request-Id": request_id}
    url = f"http://127.0.0.1:{app.port}/ws"
    async with (
        asyncio.timeout(PATIENCE),
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=headers, max_msg_size=0, **options) as ws,
    ):
        first = envelope.unseal((await ws.receive_str()).encode(), request_id=request_id)
        assert (first.data, first.sender.replica) == ({}, app.name)
        yield ws


def test_a_stream_gives_each_event_in_a_chunk_of_its_own_and_an_end(app) -> None:
    with reading(app, "/stream?events=3&interval_ms=1", "three") as reader:
        head = reader.head()
        events = [reader.event() for _ in range(3)]
        assert reader.chunk() == b""
        assert reader.file.read() == b""

    assert [(number, opened.data) for number, opened in events] == [(n, {"n": n}) for n in (1, 2, 3)]
    assert {opened.sender.replica for _, opened in events} == {app.name}
    assert (head["content-type"], head["connection"]) == ("text/event-stream", "close")
    names = (head["x-lab-version"], head["x-lab-replica"], head["x-lab-request-id"])
    assert names == ("v1-test", app.name, "three")
    assert app.logged("end", id="three")["status"] == 200


def test_an_event_is_not_kept_back_for_the_next(app) -> None:
    with reading(app, "/stream?interval_ms=60000", "slow-events") as reader:
        reader.head()
        assert reader.event()[0] == 1
        app.logged("begin", id="slow-events")


def test_events_come_every_100_ms_unless_told_otherwise(app) -> None:
    with reading(app, "/stream?events=2", "paced") as reader:
        reader.head()
        reader.event()
        begun = time.monotonic()
        reader.event()
        assert 0.05 < time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "path",
    [
        "/stream?events=0",
        "/stream?events=",
        "/stream?events=1000001",
        "/stream?interval_ms=-1",
        "/stream?interval_ms=0.5",
        "/stream?interval_ms=60001",
        "/ws",
    ],
)
def test_a_stream_that_cannot_be_meant_is_bad_input(app, path) -> None:
    reply = app.ask("GET", path)
    assert (reply.status, reply.error["code"]) == (400, "bad-input")


def test_a_reader_that_leaves_has_a_begin_and_no_end(app) -> None:
    with reading(app, "/stream?interval_ms=1", "left-stream") as reader:
        reader.head()
        reader.event()
    app.ask("GET", "/slow?seconds=0.2", request_id="after-it-left")
    app.logged("end", id="after-it-left")

    assert "left-stream" in app.unanswered()
    assert app.events("error") == []


def test_a_stop_ends_streams_between_two_events(stopped_soon) -> None:
    paths = {"fast": "/stream?interval_ms=0", "slow": "/stream?interval_ms=60000", "some": "/stream?events=9000"}
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(reading(stopped_soon, path, name)) for name, path in paths.items()]
        for reader in readers:
            reader.head()
            reader.event()
        stopped_soon.terminate()
        for reader in readers:
            while chunk := reader.chunk():
                assert chunk.endswith(b"\n\n")
            assert reader.file.read() == b""
        assert stopped_soon.ended() == 0

    assert stopped_soon.unanswered() == []
    assert {line["status"] for line in stopped_soon.events("end")} == {200}


def test_a_stop_waits_for_no_reader_that_takes_nothing(stopped_soon) -> None:
    with reading(stopped_soon, "/stream?interval_ms=0", "stuck", room=4096) as reader:
        reader.head()
        until_it_rests(stopped_soon.process.pid)
        stopped_soon.terminate()
        assert stopped_soon.ended() == 0

    assert stopped_soon.unanswered() == ["stuck"]


def until_it_rests(pid: int) -> None:
    """A stream without a pause keeps its replica busy until nothing more can be written."""
    process, deadline, spent = psutil.Process(pid), time.monotonic() + PATIENCE, None
    while spent != (spent := process.cpu_times().user):
        assert time.monotonic() < deadline
        time.sleep(0.3)


async def test_a_websocket_sends_back_what_it_is_sent(app) -> None:
    large = os.urandom(8 * 1024 * 1024)
    async with talking(app, "echo") as ws:
        assert ws.compress == 0
        await ws.send_str("Zo\u00eb \U0001f600")
        assert await ws.receive_str() == "Zo\u00eb \U0001f600"
        for data in (b"", large):
            await ws.send_bytes(data)
            assert await ws.receive_bytes() == data
        names = [ws._response.headers[name] for name in ("X-Lab-Version", "X-Lab-Replica", "X-Lab-Request-Id")]
        assert (ws._response.status, names) == (101, ["v1-test", app.name, "echo"])
        await ws.close()

    assert app.logged("end", id="echo")["status"] == 101


async def test_a_websocket_is_compressed_if_the_client_wants_it(app) -> None:
    large = b"0123456789abcdef" * (8 * 1024 * 1024 // 16)
    async with talking(app, "deflated", compress=15) as ws:
        assert ws.compress == 15
        await ws.send_bytes(large)
        assert await ws.receive_bytes() == large


async def test_a_ping_is_answered_with_what_it_carries(app) -> None:
    async with talking(app, "pinged", autoping=False) as ws:
        await ws.ping(b"are you there")
        pong = await ws.receive()
        assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"are you there")


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_a_close_is_answered_with_its_own_code(app, code) -> None:
    async with talking(app, f"closed-{code}", autoclose=False) as ws:
        await ws.close(code=code, message=b"why")
        assert ws.close_code == code

    assert app.logged("end", id=f"closed-{code}")["status"] == 101


async def test_a_websocket_whose_client_vanishes_has_no_end(app) -> None:
    async with talking(app, "vanished") as ws:
        ws._response.connection.transport.abort()
    await asyncio.to_thread(app.ask, "GET", "/slow?seconds=0.2", request_id="after-it-vanished")
    app.logged("end", id="after-it-vanished")

    assert "vanished" in app.unanswered()
    assert app.events("error") == []


async def test_a_stop_closes_websockets_with_1001_after_what_was_received(stopped_soon) -> None:
    async with talking(stopped_soon, "open") as ws, talking(stopped_soon, "busy") as busy:
        large = os.urandom(1024 * 1024)
        for _ in range(3):
            await busy.send_bytes(large)
        assert await busy.receive_bytes() == large
        stopped_soon.terminate()
        assert (await ws.receive()).type is WSMsgType.CLOSE
        while (message := await busy.receive()).type is WSMsgType.BINARY:
            assert message.data == large
        assert (ws.close_code, busy.close_code) == (WSCloseCode.GOING_AWAY, WSCloseCode.GOING_AWAY)

    assert stopped_soon.ended() == 0
    assert stopped_soon.unanswered() == []


def test_a_stop_waits_for_no_client_that_leaves_its_close_unanswered(stopped_soon) -> None:
    asked = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
    key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    with socket.create_connection(("127.0.0.1", stopped_soon.port), timeout=PATIENCE) as client:
        client.sendall(f"GET /ws HTTP/1.1\r\nHost: app\r\n{asked}\r\n{key}\r\n\r\n".encode())
        stopped_soon.logged("begin", path="/ws")
        stopped_soon.terminate()
        said = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert stopped_soon.ended() == 0

    assert said.endswith(struct.pack("!BBH", 0x88, 2 + len("the replica stops"), 1001) + b"the replica stops")


def test_every_line_about_streams_is_as_the_schema_says(app, root) -> None:
    with reading(app, "/stream?events=1", "schema") as reader:
        reader.head()
        reader.event()
    app.logged("end", id="schema")

    schema = json.loads((root / "docs/reference/schemas/app-log.schema.json").read_text())
    for line in app.log:
        jsonschema.validate(line, schema)
