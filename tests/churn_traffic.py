"""The churn's clients: 300 requests a second of every kind, open loop; nothing is retried or forgiven."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.churn_evidence import Outcome
from tests.proxy_world import PATIENCE, Answer, connected, read_answer, read_head
from tests.proxy_ws import CLOSE, TEXT, Frame, close_frame, encode, read_frame, upgrade

RATE = 300
LONG_LIVED = 6
# A machine that cannot keep up is offered less: what its own overload delays beyond all patience is no one's loss.
MOST_IN_FLIGHT = 150
_EVENTS = 5
_BODY = bytes(number % 251 for number in range(3000))
_GOING_AWAY = 1001
# of each thirty requests
_MIX = (
    *(("kept", "GET"),) * 10,
    *(("kept", "POST"),) * 7,
    *(("fresh", "POST"),) * 4,
    *(("fresh", "GET"),) * 3,
    *(("slow", "GET"),) * 3,
    *(("stream", "GET"),) * 2,
    ("websocket", "GET"),
)
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Traffic:
    def __init__(self, port: int, rate: int = RATE) -> None:
        self.outcomes: list[Outcome] = []
        self._port = port
        self._rate = rate
        self._over = asyncio.Event()
        self._kept: list[_Connection] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Offer requests; at the end, offer no more and wait for what is in flight."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._offer(group))
            for number in range(LONG_LIVED):
                group.create_task(self._again_and_again(f"s{number}", "endless stream", self._endless_stream))
                group.create_task(self._again_and_again(f"w{number}", "long websocket", self._long_websocket))
            try:
                yield
            finally:
                self._over.set()
        for _, writer in self._kept:
            writer.transport.abort()

    async def _offer(self, group: asyncio.TaskGroup) -> None:
        kinds: dict[str, Callable[[str, str], Awaitable[str]]] = {
            "kept": self._on_a_kept_connection,
            "fresh": self._on_a_fresh_connection,
            "slow": self._slow,
            "stream": self._stream,
            "websocket": self._websocket,
        }
        loop = asyncio.get_running_loop()
        due, number = loop.time(), 0
        in_flight: set[asyncio.Task[None]] = set()
        while not self._over.is_set():
            # a stride, so that the kinds come mixed
            kind, method = _MIX[number * 7 % len(_MIX)]
            task = group.create_task(self._one(f"r{number}", kind, method, kinds[kind]))
            in_flight.add(task)
            task.add_done_callback(in_flight.discard)
            number += 1
            due += 1 / self._rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            if len(in_flight) >= MOST_IN_FLIGHT:
                await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                due = loop.time()

    async def _again_and_again(self, name: str, kind: str, make: Callable[[str, str], Awaitable[str]]) -> None:
        number = 0
        while not self._over.is_set():
            await self._one(f"{name}-{number}", kind, "GET", make)
            number += 1

    async def _one(self, id: str, kind: str, method: str, make: Callable[[str, str], Awaitable[str]]) -> None:
        end, why = "lost", ""
        try:
            end = await make(id, method)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, WrongAnswerError) as error:
            why = repr(error)
        self.outcomes.append(Outcome(id=id, kind=kind, method=method, end=end, why=why))

    async def _on_a_kept_connection(self, id: str, method: str) -> str:
        reader, writer = self._kept.pop() if self._kept else await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self._worked(reader, writer, id, method)
        except BaseException:
            writer.transport.abort()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            writer.transport.abort()
        else:
            self._kept.append((reader, writer))
        return "ok"

    async def _on_a_fresh_connection(self, id: str, method: str) -> str:
        async with connected(self._port) as (reader, writer):
            await self._worked(reader, writer, id, method)
        return "ok"

    async def _worked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, id: str, method: str) -> Answer:
        body = _BODY if method == "POST" else b""
        writer.write(_head(method, "/short", id, f"Content-Length: {len(body)}") + body)
        answer = await read_answer(reader)
        _expect(answer, f"{id} {len(body)}".encode())
        return answer

    async def _slow(self, id: str, method: str) -> str:
        async with connected(self._port) as (reader, writer):
            writer.write(_head(method, "/slow", id))
            _expect(await read_answer(reader), id.encode())
        return "ok"

    async def _stream(self, id: str, method: str) -> str:
        async with connected(self._port) as (reader, writer):
            writer.write(_head(method, f"/stream?{_EVENTS}", id))
            return "ok" if await _events(reader, id) == _EVENTS else "cut"

    async def _endless_stream(self, id: str, method: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(_head(method, "/stream", id))
        tasks = asyncio.ensure_future(_events(reader, id)), asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not tasks[0].done():
                return "left"
            tasks[0].result()
            return "cut"
        finally:
            writer.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _websocket(self, id: str, _method: str) -> str:
        async with connected(self._port) as (reader, writer):
            return await _conversation(reader, writer, id, more=lambda said: said < 3)

    async def _long_websocket(self, id: str, _method: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            return await _conversation(reader, writer, id, more=lambda _: not self._over.is_set())
        finally:
            writer.transport.abort()


class WrongAnswerError(Exception):
    """An answer came, and is not the one that was due."""


def _head(method: str, target: str, id: str, *extra: str) -> bytes:
    fields = ["Host: lab.test", f"X-Lab-Request-Id: {id}", *extra]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", ""]).encode()


def _expect(answer: Answer, body: bytes) -> None:
    if (answer.status, answer.body) != (200, body):
        raise WrongAnswerError(answer.status, answer.headers.get("x-lab-proxy"), answer.body[:100])


async def _events(reader: asyncio.StreamReader, id: str) -> int:
    """Read a stream to its clean end and return how many events came; one that is not whole is an error."""
    (_, status, *_), fields, _ = await read_head(reader)
    if status != "200":
        raise WrongAnswerError(status, fields)
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    count = body.count(b"\n\n")
    if body != b"".join(b"id: %d\ndata: %b\n\n" % (number + 1, id.encode()) for number in range(count)):
        raise WrongAnswerError("the stream ended in the middle of an event", body[-100:])
    return count


async def _conversation(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, id: str, *, more: Callable[[int], bool]
) -> str:
    writer.write(upgrade("/ws", f"X-Lab-Request-Id: {id}"))
    (_, status, *_), fields, _ = await read_head(reader)
    if status != "101":
        raise WrongAnswerError(status, fields)
    said = 0
    while more(said):
        said += 1
        if await _said(reader, writer, Frame(TEXT, f"{id} {said}".encode())):
            return "cut"
        await asyncio.sleep(0.02)
    return "cut" if await _said(reader, writer, close_frame(1000)) else "ok"


async def _said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frame: Frame) -> bool:
    """Say something and hear it come back; True when the other side ended the WebSocket in order instead."""
    writer.write(encode(frame, masked=True))
    async with asyncio.timeout(PATIENCE):
        answer = await read_frame(reader)
    if answer == frame:
        return False
    if answer.opcode == CLOSE and answer.code == _GOING_AWAY:
        writer.write(encode(answer, masked=True))
        return True
    raise WrongAnswerError("not what was said", answer)
