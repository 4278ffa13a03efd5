"""Memory: over many requests, and with many open connections."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from tests.bench.proxy.answers import complete, good, request
from tests.bench.proxy.figures import Case, Crowd, Growth
from tests.bench.proxy.peers import Running
from tests.bench.proxy.plan import REQUESTS, SMALL_BODY, SMALL_PATH, Plan
from tests.bench.proxy.wrk import Wrk

_PATIENCE_SECONDS = 10.0
_WAVES = 10
_CHUNK_SECONDS = 5


def growth(peer: Running, wrk: Wrk, plan: Plan) -> Growth | None:
    """Ask until both counts are reached; None: the deadline came first."""
    deadline = time.monotonic() + plan.growth_seconds
    done, early, errors = 0, (0, 0), 0
    while done < plan.late_requests:
        seconds = 1 if done < plan.early_requests else _CHUNK_SECONDS
        load = wrk.run(peer.port, REQUESTS[Case.SMALL_32], seconds)
        done += load.requests
        errors += load.errors
        if done >= plan.early_requests and not early[0]:
            early = (done, peer.process.rss_kib())
        if time.monotonic() > deadline or not load.requests:
            return None
        peer.between_runs()
    return Growth(
        early_requests=early[0],
        early_kib=early[1],
        late_requests=done,
        late_kib=peer.process.rss_kib(),
        errors=errors,
    )


def crowd(peer: Running, wrk: Wrk, connections: int) -> Crowd:
    """Measure idle connections that have asked once, then the same ones asking all at the same time."""
    warm = wrk.run(peer.port, REQUESTS[Case.SMALL_32], 1)
    rss: Callable[[], int] = peer.process.rss_kib
    before = rss()
    with _open(peer.port, connections) as sockets:
        wrong = sum(_ask([one]) for one in sockets)
        idle = rss()
        active = idle
        for _ in range(_WAVES):
            wrong += _ask(sockets)
            active = max(active, rss())
    time.sleep(1)
    return Crowd(
        peer=peer.peer,
        connections=connections,
        before_kib=before,
        idle_kib=idle,
        active_kib=active,
        after_kib=rss(),
        errors=warm.errors + wrong,
    )


@contextlib.contextmanager
def _open(port: int, connections: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS))
            for _ in range(connections)
        ]


def _ask(sockets: list[socket.socket]) -> int:
    """Send on all of them, then read from all of them; return how many did not answer as they should."""
    for one in sockets:
        with contextlib.suppress(OSError):  # the answer will be missing
            one.sendall(request(SMALL_PATH))
    return sum(not _answered(one) for one in sockets)


def _answered(one: socket.socket) -> bool:
    data = bytearray()
    while not complete(data):
        try:
            got = one.recv(65536)
        except OSError:
            return False
        if not got:
            return False
        data += got
    return good(data, SMALL_BODY.encode())
