"""Open-loop load: `python -m tests.bench.proxy.openloop PORT RATE SECONDS`, one JSON line.

wrk waits for an answer before it asks again, so a proxy that stalls is asked less just then, and its p99 looks well.
Here every request has its time, whatever became of those before it, and its latency counts from that time on, also
when no connection was free. The lag says how late the generator itself was with a connection at hand.
"""

import gc
import json
import select
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.proxy.answers import complete, good, request
from tests.bench.proxy.figures import OpenRun, Peer, percentile
from tests.bench.proxy.plan import OPEN_CONNECTIONS, SMALL_BODY, SMALL_PATH
from tests.bench.proxy.processes import ROOT, pinned

WARM_SECONDS = 0.5
GIVE_UP_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Connection:
    socket: socket.socket
    due: int = 0
    measured: bool = False
    data: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class Generator:
    """A fixed schedule over kept connections, each in turn."""

    port: int
    connections: int = OPEN_CONNECTIONS
    latencies: list[int] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)
    errors: int = 0
    _free_since: int = 0
    _request: bytes = request(SMALL_PATH)
    _body: bytes = SMALL_BODY.encode()
    _free: deque[Connection] = field(default_factory=deque)
    _busy: dict[int, Connection] = field(default_factory=dict)
    _epoll: select.epoll = field(default_factory=select.epoll)

    def run(self, rate: int, seconds: float, *, warm_seconds: float = WARM_SECONDS) -> None:
        """Offer rate requests/s; the first of them warm up the proxy's connections and are not counted."""
        for _ in range(self.connections):
            self._connect()
        warm = int(rate * warm_seconds)
        total = warm + int(rate * seconds)
        began = time.perf_counter_ns() + 1_000_000
        step = 1e9 / rate
        sent = 0
        give_up = began + int(total * step + GIVE_UP_SECONDS * 1e9)
        while sent < total or self._busy:
            now = time.perf_counter_ns()
            due = began + int(sent * step)
            if sent < total and due <= now and self._free:
                self._send(due, measured=sent >= warm)
                sent += 1
                continue
            if now > give_up:
                self.errors += len(self._busy) + total - sent
                return
            self._receive((due - now) / 1e9 if sent < total and due > now else GIVE_UP_SECONDS)

    def close(self) -> None:
        for connection in (*self._free, *self._busy.values()):
            connection.socket.close()
        self._epoll.close()

    def _send(self, due: int, *, measured: bool) -> None:
        connection = self._free.popleft()
        connection.due, connection.measured = due, measured
        self._busy[connection.socket.fileno()] = connection
        if measured:
            self.lags.append(time.perf_counter_ns() - max(due, self._free_since))
        try:
            connection.socket.send(self._request)
        except OSError:
            self._lost(connection)

    def _receive(self, seconds: float) -> None:
        # epoll itself counts in whole milliseconds
        select.select([self._epoll.fileno()], [], [], seconds)
        for number, _ in self._epoll.poll(0):
            if number in self._busy:
                self._read(self._busy[number])
            else:
                self._idle_closed(number)

    def _read(self, connection: Connection) -> None:
        try:
            got = connection.socket.recv(65536)
        except OSError:
            got = b""
        now = time.perf_counter_ns()
        if not got:
            self._lost(connection)
            return
        connection.data += got
        if not complete(connection.data):
            return
        if not good(connection.data, self._body):
            self.errors += 1
        elif connection.measured:
            self.latencies.append(now - connection.due)
        connection.data.clear()
        del self._busy[connection.socket.fileno()]
        self._give_back(connection, now)

    def _give_back(self, connection: Connection, now: int) -> None:
        # waiting for a connection is the proxy's latency, and no lag of the generator
        self._free_since = self._free_since if self._free else now
        self._free.append(connection)

    def _lost(self, connection: Connection) -> None:
        self.errors += 1
        del self._busy[connection.socket.fileno()]
        connection.socket.close()
        self._connect()

    def _idle_closed(self, number: int) -> None:
        for connection in [one for one in self._free if one.socket.fileno() == number]:
            self._free.remove(connection)
            self._busy[number] = connection
            self._lost(connection)

    def _connect(self) -> None:
        connected = socket.create_connection(("127.0.0.1", self.port), timeout=GIVE_UP_SECONDS)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        self._epoll.register(connected.fileno(), select.EPOLLIN)
        self._give_back(Connection(socket=connected), time.perf_counter_ns())


def offer(peer: Peer, port: int, rate: int, seconds: int, *, cpu: int, priority: int) -> OpenRun:
    """Run the generator as a process of its own; with a priority, before whatever else wants its processor."""
    first = ["chrt", "--fifo", str(priority)] if priority else []
    done = subprocess.run(
        pinned([*first, sys.executable, "-m", "tests.bench.proxy.openloop", str(port), str(rate), str(seconds)], cpu),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    if done.returncode:
        raise RuntimeError(f"the open-loop generator ended with {done.returncode}: {done.stderr[-500:]}")
    return parse(peer, rate, done.stdout)


def parse(peer: Peer, rate: int, line: str) -> OpenRun:
    """PURE."""
    return OpenRun(peer=peer, rate=rate, **json.loads(line))


def _main(port: int, rate: int, seconds: float) -> None:
    with suppress(OSError):
        # the kernel may otherwise be 50 us late with every timer
        Path("/proc/self/timerslack_ns").write_text("1")
    gc.disable()
    generator = Generator(port)
    generator.run(rate, seconds)
    latencies, lags = sorted(generator.latencies), sorted(generator.lags)
    print(
        json.dumps(
            {
                "answered": len(latencies),
                "errors": generator.errors,
                "p50_us": percentile(latencies, 0.5) / 1000 if latencies else 0.0,
                "p99_us": percentile(latencies, 0.99) / 1000 if latencies else 0.0,
                "lag_p50_us": percentile(lags, 0.5) / 1000 if lags else 0.0,
                "lag_p99_us": percentile(lags, 0.99) / 1000 if lags else 0.0,
            }
        )
    )


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
