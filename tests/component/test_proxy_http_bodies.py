"""Large bodies take little memory whoever is the slower side, and go again whole to the next replica."""

import asyncio
import contextlib
import hashlib
import itertools
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_oracle import Oracle, converse
from tests.proxy_world import Received, World, connected, get, read_body, send, world

PIECE = bytes(range(256)) * 256
PIECES = 48 * 16
TOTAL = PIECES * len(PIECE)
# What may be in the proxy's memory and the fake replica's: a few reads of 256 KiB, which is what asyncio takes at once.
MOST_HELD = 2 * 1024 * 1024
TCP_TABLE = Path("/proc/net/tcp")


def in_the_kernel(*ports: int) -> int:
    """Return how many bytes lie in the socket buffers of all connections to these ports, on both their ends."""
    total = 0
    for line in TCP_TABLE.read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if state == "01" and {int(end.split(":")[1], 16) for end in (local, remote)} & set(ports):
            total += sum(int(queue, 16) for queue in queues.split(":"))
    return total


class Pump:
    """Writes the same pieces on and on, and knows how many bytes have left this process."""

    def __init__(self, *, chunked: bool) -> None:
        self._piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE
        self._end = b"0\r\n\r\n" if chunked else b""
        self._writer: asyncio.StreamWriter | None = None
        self._written = 0

    @property
    def pushed(self) -> int:
        if self._writer is None:
            return 0
        return self._written - self._writer.transport.get_write_buffer_size()

    async def run(self, writer: asyncio.StreamWriter, head: bytes) -> None:
        writer.transport.set_write_buffer_limits(high=len(PIECE))
        self._writer = writer
        writer.write(head)
        with contextlib.suppress(ConnectionError):
            for _ in range(PIECES):
                writer.write(self._piece)
                self._written += len(self._piece)
                await writer.drain()
            writer.write(self._end)
            await writer.drain()

    async def stuck(self) -> int:
        """Wait until nothing more goes out, and return how much did."""
        async with asyncio.timeout(20):
            before, still = -1, 0
            while still < 5:
                await asyncio.sleep(0.05)
                still = still + 1 if before == self.pushed > 0 else 0
                before = self.pushed
        return before


def framing(*, chunked: bool) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % TOTAL


async def narrow(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with a small receive buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=sock, limit=16384)


async def digest(reader: asyncio.StreamReader, *, chunked: bool) -> str:
    found, left = hashlib.sha256(), TOTAL
    while left:
        size = int(await reader.readuntil(b"\r\n"), 16) if chunked else left
        for at in range(0, size, 65536):
            found.update(await reader.readexactly(min(65536, size - at)))
        left -= size
        if chunked:
            assert await reader.readexactly(2) == b"\r\n"
    return found.hexdigest()


def expected() -> str:
    found = hashlib.sha256()
    for _ in range(PIECES):
        found.update(PIECE)
    return found.hexdigest()


def check_memory(lab: World, pushed: int, *ports: int) -> None:
    assert pushed < TOTAL
    if TCP_TABLE.exists():
        held = pushed - in_the_kernel(lab.port, *ports)
        assert held < MOST_HELD, f"{held} bytes are neither here nor in any socket's buffer"


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_slow_client_holds_the_replica_back_and_misses_nothing(tmp_path: Path, chunked: bool) -> None:
    pump = Pump(chunked=chunked)

    async def respond(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await pump.run(writer, b"HTTP/1.1 200 OK\r\n" + framing(chunked=chunked))

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        reader, writer = await narrow(lab.port)
        try:
            writer.write(get())
            check_memory(lab, await pump.stuck(), replica.port)
            async with asyncio.timeout(30):
                await reader.readuntil(b"\r\n\r\n")
                assert await digest(reader, chunked=chunked) == expected()
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_slow_replica_holds_the_client_back_and_misses_nothing(tmp_path: Path, chunked: bool) -> None:
    pump = Pump(chunked=chunked)
    go_on = asyncio.Event()

    async def respond(_request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        found = (await digest(reader, chunked=chunked)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(found), found))

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", respond)
        async with connected(lab.port) as (reader, writer):
            pumping = asyncio.create_task(
                pump.run(writer, b"POST / HTTP/1.1\r\nHost: h\r\n" + framing(chunked=chunked))
            )
            check_memory(lab, await pump.stuck(), replica.port)
            go_on.set()
            await pumping
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert (await reader.readexactly(64)).decode() == expected()


def pieces_of(size: int) -> Callable[[bytes], bytes]:
    def chunked(body: bytes) -> bytes:
        parts = (body[at : at + size] for at in range(0, len(body), size))
        return b"".join(b"%X\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    return chunked


@pytest.mark.parametrize(("one", "two"), list(itertools.product((1, 7, 65536), (1, 4096))))
async def test_chunks_of_any_size_carry_the_same_body(tmp_path: Path, one: int, two: int) -> None:
    body = PIECE[:20_000]

    async def echo(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await read_body(reader, request.headers)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + pieces_of(two)(found))

    head = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", echo)
        heard = await converse(lab.port, head + pieces_of(one)(body))
        assert [answer.body == body for answer in heard.answers] == [True]


@pytest.mark.parametrize(("size", "chunked"), list(itertools.product((10_000, 10_000_000), (False, True))))
async def test_a_body_is_whole_at_the_replica_that_takes_it_after_another_refused(
    tmp_path: Path, size: int, chunked: bool
) -> None:
    body = (PIECE * (size // len(PIECE) + 1))[:size]
    got: list[str] = []

    async def take(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(hashlib.sha256(await read_body(reader, request.headers)).hexdigest())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    head = b"POST / HTTP/1.1\r\nHost: h\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % size
    raw = head + (pieces_of(30_000)(body) if chunked else body)
    async with world(tmp_path, limits=Limits(eject_errors=1000)) as lab:
        await _dead(lab, "app-1.1")
        await lab.serve("app-2.1", take)
        await lab.change("PUT", "/v1/run", run="r1")
        for _ in range(6):
            assert (await send(lab.port, raw)).status == 200
        await lab.change("DELETE", "/v1/run")
        assert got == [hashlib.sha256(body).hexdigest()] * 6
        results = [line["result"] for line in lab.ledger("r1") if line["e"] == "end"]
        assert results.count("ok") == 6
        assert set(results) <= {"ok", "connect_failed"}


async def _dead(lab: World, name: str) -> None:
    """Put a replica into rotation that refuses connections, probed too seldom for that to be known."""
    dead = await Oracle(name).start()
    lab.replicas.append(dead)
    await lab.join(dead, interval_ms=60_000)
    await lab.admit(dead)
    await dead.kill()
