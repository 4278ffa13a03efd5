"""A proxy on loopback ports with replicas one can program, hold, count and kill; and a client that hides nothing."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from jsonschema import Draft202012Validator

from proxy.server import ProxyServer
from proxy.settings import Limits, Settings

PATIENCE = 10.0
TOKEN = "secret"
OWNER = {"host": "h", "boot": "b", "pid": 1, "start": "s", "command": "lab roll v2", "home": "/home/x"}
READINESS = {
    "path": "/readyz",
    "passes": 1,
    "min_ready_ms": 0,
    "interval_ms": 200,
    "fast_interval_ms": 10,
    "timeout_ms": 1000,
    "fails": 2,
    "identity": True,
}
_SCHEMAS = Path(__file__).parents[1] / "docs" / "reference" / "schemas"


def admin_schema(part: str) -> Draft202012Validator:
    whole = json.loads((_SCHEMAS / "admin-api.schema.json").read_text())
    return Draft202012Validator({**whole, "$ref": f"#/$defs/{part}"})


def ledger_schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads((_SCHEMAS / "proxy-ledger.schema.json").read_text()))


@dataclass(slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    raw_head: bytes


@dataclass(slots=True, kw_only=True)
class Received:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def one(self, name: str) -> str:
        (value,) = self.every(name)
        return value


async def read_head(reader: asyncio.StreamReader) -> tuple[list[str], list[tuple[str, str]], bytes]:
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *lines = raw.decode("latin-1")[:-4].split("\r\n")
    fields = [(key, value.strip()) for key, value in (line.split(":", 1) for line in lines)]
    return first.split(" ", 2), fields, raw


async def read_body(reader: asyncio.StreamReader, fields: list[tuple[str, str]], *, until_close: bool = False) -> bytes:
    found = {key.lower(): value for key, value in fields}
    if found.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return body
    if "content-length" in found:
        return await reader.readexactly(int(found["content-length"]))
    return await reader.read() if until_close else b""


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader, writer
    finally:
        writer.transport.abort()


async def send(port: int, request: bytes, *, head_only: bool = False) -> Answer:
    """Send bytes on a connection of their own and read one answer; a cut answer is an exception."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        return await read_answer(reader, head_only=head_only)


async def read_answer(reader: asyncio.StreamReader, *, head_only: bool = False) -> Answer:
    (_, status, *_), fields, raw = await read_head(reader)
    bare = head_only or status in {"204", "304"}
    body = b"" if bare else await read_body(reader, fields, until_close=True)
    return Answer(status=int(status), headers={k.lower(): v for k, v in fields}, body=body, raw_head=raw)


def get(path: str = "/", *extra: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: lab.test", *extra, "", ""]).encode()


Responder = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Replica:
    """An upstream that answers its readiness by itself and everything else as it is told to."""

    def __init__(self, name: str, respond: Responder | None = None, *, holding: bool = False) -> None:
        self.name = name
        self.identity = name
        self.ready = True
        self.requests: list[Received] = []
        self.open_connections = 0
        self.port = 0
        self.held = asyncio.Semaphore(0)
        self.arrived = asyncio.Semaphore(0)
        self.gone = asyncio.Event()
        self._respond = respond or (self.hold if holding else self.hello)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def kill(self) -> None:
        """Be gone at once, as by SIGKILL."""
        if self._server is None:
            return
        # asyncio before 3.13 leaks a connection that it accepts while the server is closed: first let it accept none.
        loop = asyncio.get_running_loop()
        for listening in self._server.sockets:
            loop.remove_reader(listening)
        for _ in range(5):
            await asyncio.sleep(0)
        self._server.close()
        self._server = None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def hello(self, _request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    async def hold(self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer only when the test says so."""
        self.arrived.release()
        await self.held.acquire()
        await self.hello(request, reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_connections += 1
        try:
            while True:
                await self._serve_one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            if task in self._asked:
                self.gone.set()
        finally:
            self._asked.discard(task)
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (method, target, _), fields, _ = await read_head(reader)
        request = Received(method=method, target=target, headers=fields, body=b"")
        if target == "/readyz":
            status = "200 OK" if self.ready else "503 Service Unavailable"
            head = f"HTTP/1.1 {status}\r\nX-Lab-Replica: {self.identity}\r\nContent-Length: 5\r\n\r\nprobe"
            writer.write(head.encode())
        else:
            self.requests.append(request)
            task = asyncio.current_task()
            assert task is not None
            self._asked.add(task)
            await self._respond(request, reader, writer)
        await writer.drain()


@dataclass(slots=True)
class World:
    folder: Path
    limits: Limits = field(default_factory=Limits)
    fence: int = 0
    replicas: list[Replica] = field(default_factory=list)
    _server: ProxyServer | None = None
    _http: aiohttp.ClientSession | None = None

    @property
    def server(self) -> ProxyServer:
        assert self._server is not None
        return self._server

    @property
    def port(self) -> int:
        return self.server.data_port

    async def start(self) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        settings = Settings(
            token=TOKEN,
            state_dir=self.folder / "state",
            runs_dir=self.folder / "runs",
            data_port=0,
            admin_port=0,
            host="127.0.0.1",
            seed=1,
            limits=self.limits,
        )
        self._server = ProxyServer(settings)
        await self._server.start()
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"})

    async def stop(self, seconds: float = 0.2) -> None:
        server, self._server = self._server, None
        if self._http is not None:
            await self._http.close()
        if server is not None:
            await server.stop(seconds)

    async def call(self, method: str, path: str, body: object = None, *, expect: int = 200) -> dict[str, Any]:
        assert self._http is not None
        url = f"http://127.0.0.1:{self.server.admin_port}{path}"
        async with asyncio.timeout(PATIENCE), self._http.request(method, url, json=body) as response:
            found: dict[str, Any] = await response.json()
            assert response.status == expect, (response.status, found)
            return found

    async def change(self, method: str, path: str, *, expect: int = 200, **fields: Any) -> dict[str, Any]:
        return await self.call(method, path, {"fence": self.fence, **fields}, expect=expect)

    async def lease(self, ttl_ms: int = 60_000) -> int:
        self.fence = (await self.call("POST", "/v1/lease", {"owner": OWNER, "ttl_ms": ttl_ms}))["fence"]
        return self.fence

    async def replica(self, name: str, respond: Responder | None = None) -> Replica:
        replica = await Replica(name, respond).start()
        self.replicas.append(replica)
        return replica

    async def holding(self, name: str) -> Replica:
        """Return a replica in rotation that answers only when the test says so."""
        replica = await Replica(name, holding=True).start()
        self.replicas.append(replica)
        await self.join(replica)
        await self.admit(replica)
        return replica

    async def join(self, replica: Replica, **readiness: Any) -> dict[str, Any]:
        slot, generation = replica.name.split("-")[-1].split(".")
        return await self.change(
            "PUT",
            f"/v1/replicas/{replica.name}",
            slot=int(slot),
            generation=int(generation),
            version="v1",
            address=replica.address,
            readiness={**READINESS, **readiness},
        )

    async def admit(self, replica: Replica) -> dict[str, Any]:
        await self.until(replica, lambda found: found["proven"])
        return await self.change("POST", f"/v1/replicas/{replica.name}/admit")

    async def serve(self, name: str, respond: Responder | None = None) -> Replica:
        """Return a replica that is in rotation."""
        replica = await self.replica(name, respond)
        await self.join(replica)
        await self.admit(replica)
        return replica

    async def retire(self, replica: Replica, *, deadline_ms: int = 10_000) -> dict[str, Any]:
        return await self.change("POST", f"/v1/replicas/{replica.name}/retire", deadline_ms=deadline_ms)

    async def remove(self, replica: Replica, **fields: Any) -> dict[str, Any]:
        return await self.change("DELETE", f"/v1/replicas/{replica.name}", **fields)

    async def state(self) -> dict[str, Any]:
        return await self.call("GET", "/v1/state")

    async def seen(self, replica: Replica) -> dict[str, Any]:
        return next(each for each in (await self.state())["replicas"] if each["replica"] == replica.name)

    async def until(self, replica: Replica, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Follow the state, by its long poll, until something holds for a replica."""
        since = 0
        async with asyncio.timeout(PATIENCE):
            while True:
                state = await self.call("GET", f"/v1/state?since={since}&wait_ms=5000")
                found: dict[str, Any]
                for found in state["replicas"]:
                    if found["replica"] == replica.name and holds(found):
                        return found
                since = state["seq"]

    async def removable(self, replica: Replica) -> dict[str, Any]:
        return await self.until(replica, lambda found: found["place"] == "removable")

    def ledger(self, run: str) -> list[dict[str, Any]]:
        """Return its lines; an attempt that is one line as its begin and its end."""
        lines: list[dict[str, Any]] = []
        for line in self.raw_ledger(run):
            if line["e"] != "attempt":
                lines.append(line)
                continue
            ended = {"e": "end", "t": line["t_end"]}
            kept = ("id", "attempt", "result", "status", "bytes_up", "bytes_down")
            lines += [{**line, "e": "begin"}, {**{key: line[key] for key in kept}, **ended}]
        return lines

    def raw_ledger(self, run: str) -> list[dict[str, Any]]:
        if self._server is not None:
            self._server.gateway.ledger.sync()
        text = (self.folder / "runs" / run / "proxy.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


@contextlib.asynccontextmanager
async def world(folder: Path, *, limits: Limits | None = None) -> AsyncIterator[World]:
    made = World(folder, limits or Limits())
    await made.start()
    await made.lease()
    try:
        yield made
    finally:
        await made.stop(0.01)
        for replica in made.replicas:
            await replica.kill()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for something on the other side of a socket, for which there is no event to await."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        await asyncio.sleep(0.005)


@dataclass(slots=True)
class Load:
    """Clients on kept connections, each sending one request after another; nothing is retried or forgiven."""

    port: int
    clients: int
    good: int = 0
    bad: list[str] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(number))
            try:
                yield
            finally:
                self.stop.set()

    async def _client(self, number: int) -> None:
        while not self.stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                while not self.stop.is_set():
                    await self._one(number, reader, writer)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.bad.append(repr(error))
            finally:
                writer.transport.abort()

    async def _one(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b"x" * (number % 3)
        writer.write(b"POST /work HTTP/1.1\r\nHost: lab.test\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        async with asyncio.timeout(PATIENCE):
            answer = await read_answer(reader)
        if answer.status == 200 and answer.body == b"hello":
            self.good += 1
        else:
            self.bad.append(f"{answer.status} {answer.headers.get('x-lab-proxy')} {answer.body!r}")


def environment(folder: Path, **changes: str) -> dict[str, str]:
    return {
        **os.environ,
        "LAB_ADMIN_TOKEN": TOKEN,
        "LAB_STATE_DIR": str(folder),
        "LAB_RUNS_DIR": str(folder),
        "LAB_DATA_PORT": "0",
        "LAB_ADMIN_PORT": "0",
        "LAB_HOST": "127.0.0.1",
        **changes,
    }
