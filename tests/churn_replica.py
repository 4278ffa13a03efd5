"""A replica for the churn, a process: `python churn_replica.py NAME HABIT`; it says what it executed on its stdout.

exits    told to end, it is gone at once, whatever is in flight
early    closes a kept connection after a few idle milliseconds, and never says so
answers  told to end, it goes on listening and answering for a while
polite   told to end, it finishes what is in flight and accepts nothing more
doubles  a saboteur: asks itself each POST once more
"""

import asyncio
import base64
import hashlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable

EARLY_SECONDS = 0.02
SLOW_SECONDS = 0.1
LAST_SECONDS = 0.2
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE = 8


class Replica:
    def __init__(self, name: str, habit: str) -> None:
        self._name = name
        self._habit = habit
        self._told = asyncio.Event()
        self._port = 0
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._paths: dict[str, Callable[[Request], Awaitable[None]]] = {
            "/readyz": self._ready,
            "/short": self._work,
            "/slow": self._slow,
            "/stream": self._stream,
            "/ws": self._echo,
        }

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self._port = server.sockets[0].getsockname()[1]
        say(f"port {self._port}")
        await self._told.wait()
        if self._habit == "answers":
            await asyncio.sleep(LAST_SECONDS)
        server.close()
        await self._idle.wait()
        os._exit(0)

    def _stop(self) -> None:
        say("told to end")
        if self._habit == "exits":
            os._exit(0)
        self._told.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            while True:
                self._in_flight += 1
                self._idle.clear()
                try:
                    request = await Request.read(head, reader, writer)
                    await self._paths[request.path](request)
                    await writer.drain()
                finally:
                    self._in_flight -= 1
                    if not self._in_flight:
                        self._idle.set()
                head = await self._next_head(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _next_head(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        def close_if_idle() -> None:
            # as servers do: what has arrived by now is still served
            if not reader._buffer:
                writer.close()

        timer = asyncio.get_running_loop().call_later(EARLY_SECONDS, close_if_idle) if self._habit == "early" else None
        try:
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            if timer is not None:
                timer.cancel()

    async def _ready(self, request: "Request") -> None:
        self._answer(request, b"ready")

    async def _work(self, request: "Request") -> None:
        self._executed(request)
        if self._habit == "doubles" and request.method == "POST" and "x-doubled" not in request.fields:
            await self._ask_myself(request)
        self._answer(request, b"%b %d" % (request.id.encode(), len(request.body)))

    async def _slow(self, request: "Request") -> None:
        self._executed(request)
        await asyncio.sleep(SLOW_SECONDS)
        self._answer(request, request.id.encode())

    async def _stream(self, request: "Request") -> None:
        """Send as many events as asked for, or without end, in chunks that respect none of their borders."""
        self._executed(request)
        request.writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        number, last = 0, int(request.query or 0)
        while not last or number < last:
            number += 1
            event = f"id: {number}\ndata: {request.id}\n\n".encode()
            for piece in (event[:7], event[7:]):
                request.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await request.writer.drain()
            await asyncio.sleep(0.01)
        request.writer.write(b"0\r\n\r\n")

    async def _echo(self, request: "Request") -> None:
        self._executed(request)
        digest = hashlib.sha1((request.fields["sec-websocket-key"] + _GUID).encode(), usedforsecurity=False).digest()
        accept = base64.b64encode(digest).decode()
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{self._fields()}"
        request.writer.write(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        while True:
            first, size = await request.reader.readexactly(2)
            mask, payload = await request.reader.readexactly(4), await request.reader.readexactly(size & 127)
            plain = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
            request.writer.write(bytes([first, len(plain)]) + plain)
            if first & 15 == _CLOSE:
                raise ConnectionResetError

    async def _ask_myself(self, request: "Request") -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"POST /short HTTP/1.1\r\nX-Lab-Request-Id: {request.id}\r\nX-Lab-Attempt: {request.attempt}\r\n"
        writer.write(f"{head}X-Doubled: 1\r\nContent-Length: {len(request.body)}\r\n\r\n".encode() + request.body)
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    def _executed(self, request: "Request") -> None:
        say(f"executed {request.id} {request.attempt} {request.method}")

    def _answer(self, request: "Request", body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\n{self._fields()}Content-Length: {len(body)}\r\n\r\n"
        request.writer.write(head.encode() + body)

    def _fields(self) -> str:
        closing = "Connection: close\r\n" if self._told.is_set() else ""
        return f"X-Lab-Replica: {self._name}\r\n{closing}"


class Request:
    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode("latin-1")[:-4].split("\r\n")
        self.method, target, _ = first.split(" ")
        self.path, _, self.query = target.partition("?")
        self.fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.id = self.fields.get("x-lab-request-id", "-")
        self.attempt = self.fields.get("x-lab-attempt", "1")
        self.body = b""
        self.reader = reader
        self.writer = writer

    @classmethod
    async def read(cls, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> "Request":
        request = cls(head, reader, writer)
        request.body = await reader.readexactly(int(request.fields.get("content-length", 0)))
        return request


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    _, its_name, its_habit = sys.argv
    asyncio.run(Replica(its_name, its_habit).run())
