"""Readiness probes of one replica, over the network path its requests take, each on a connection of its own."""

import asyncio
import time
from collections.abc import Callable

from proxy.headers import first
from proxy.pool import ConnectFailedError, Pool
from proxy.readiness import Probe, Readiness, verdict_on
from proxy.routing import Route
from proxy.upstream import UpstreamConnection, UpstreamError

_BODY_CHARS = 500


async def probe_for_ever(
    route: Route, pool: Pool, *, record: Callable[[Probe], None], pause_ms: Callable[[], int]
) -> None:
    """Probe until cancelled. The pause counts from one start to the next, so that a slow answer delays nothing."""
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        record(await probe(route, pool))
        await asyncio.sleep(max(0.0, started + pause_ms() / 1000 - loop.time()))


async def probe(route: Route, pool: Pool) -> Probe:
    started = time.monotonic_ns()
    status, body, error = None, "", ""
    seconds = route.readiness.timeout_ms / 1000
    try:
        async with asyncio.timeout(seconds):
            connection = await pool.connect(seconds)
            try:
                status, body, error = await _ask(connection, route.replica, route.address, route.readiness)
            finally:
                connection.abort()
    except TimeoutError:
        error = f"no whole answer within {route.readiness.timeout_ms} ms"
    except (ConnectFailedError, UpstreamError) as failure:
        error = str(failure)
    ended = time.monotonic_ns()
    return Probe(t=ended, ok=not error, status=status, body=body, elapsed_ms=(ended - started) / 1e6, error=error)


async def _ask(
    connection: UpstreamConnection, replica: str, address: str, readiness: Readiness
) -> tuple[int, str, str]:
    connection.start(head_only=False)
    lines = (
        f"GET {readiness.path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: rolling-lab-probe\r\nConnection: close\r\n"
    )
    connection.write(f"{lines}\r\n".encode())
    head = await connection.head()
    body = b""
    while len(body) < 4 * _BODY_CHARS and (data := await connection.read()):
        body += data
    identity = first(head.fields, b"x-lab-replica")
    named = None if identity is None else identity.decode("latin-1")
    error = verdict_on(readiness, replica, status=head.status, identity=named)
    return head.status, body.decode("utf-8", "replace")[:_BODY_CHARS], error
