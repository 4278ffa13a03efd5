"""Readiness probes of one replica, over the network path its requests take, each on a connection of its own."""

import asyncio
import time
from collections.abc import Callable

from proxy.fields import Field, first
from proxy.pool import ConnectFailedError, Pool
from proxy.readiness import Probe, Readiness, verdict_on
from proxy.responses import ResponseHead
from proxy.routing import Route
from proxy.upstream import BadAnswerError, UpstreamError

_BODY_CHARS = 500


class Prober:
    """Probes until it is stopped. The pause counts from one start to the next: a slow answer delays nothing."""

    def __init__(
        self, route: Route, pool: Pool, *, record: Callable[[Probe], None], pause_ms: Callable[[], int]
    ) -> None:
        self._route = route
        self._pool = pool
        self._record = record
        self._pause_ms = pause_ms
        self._hurry = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def hurry(self) -> None:
        """Probe now: there is reason to doubt the replica."""
        self._hurry.set()

    def cancel(self) -> None:
        self._task.cancel()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            self._hurry.clear()
            self._record(await probe(self._route, self._pool))
            try:
                async with asyncio.timeout_at(started + self._pause_ms() / 1000):
                    await self._hurry.wait()
            except TimeoutError:
                continue


async def probe(route: Route, pool: Pool) -> Probe:
    started = time.monotonic_ns()
    readiness, status, body, error = route.readiness, None, "", ""
    seconds = readiness.timeout_ms / 1000
    try:
        async with asyncio.timeout(seconds):
            status, body, error = await _ask(pool, seconds, route.replica, readiness)
    except TimeoutError:
        error = f"no whole answer within {readiness.timeout_ms} ms"
    except (ConnectFailedError, UpstreamError) as failure:
        error = str(failure)
    ended = time.monotonic_ns()
    return Probe(t=ended, ok=not error, status=status, body=body, elapsed_ms=(ended - started) / 1e6, error=error)


async def _ask(pool: Pool, seconds: float, replica: str, readiness: Readiness) -> tuple[int, str, str]:
    connection = await pool.connect(seconds)
    answer = _Answer()
    request = b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: rolling-lab-probe\r\nConnection: close\r\n\r\n"
    try:
        connection.start(answer, request % (readiness.path.encode(), pool.address), head_only=False)
        head, body = await answer.whole
    finally:
        connection.abort()
    identity = first(head.fields, b"x-lab-replica")
    named = None if identity is None else identity.decode("latin-1")
    error = verdict_on(readiness, replica, status=head.status, identity=named)
    return head.status, body.decode("utf-8", "replace")[:_BODY_CHARS], error


class _Answer:
    """Receives one answer: its head, and as much of its body as is worth showing."""

    def __init__(self) -> None:
        self._body = b""
        self._head: ResponseHead | None = None
        self.whole: asyncio.Future[tuple[ResponseHead, bytes]] = asyncio.get_running_loop().create_future()

    def answer_interim(self, head: bytes) -> None:
        """Not what was asked for."""

    def answer_head(self, head: ResponseHead) -> None:
        self._head = head

    def answer_body(self, data: bytes) -> None:
        self._body = (self._body + data)[: 4 * _BODY_CHARS]

    def answer_read(self, *, complete: bool) -> None:
        enough = len(self._body) >= 4 * _BODY_CHARS
        if (complete or enough) and self._head is not None and not self.whole.done():
            self.whole.set_result((self._head, self._body))

    def answer_whole(self, head: ResponseHead, body: bytes) -> bool:  # noqa: ARG002
        return False

    def answer_switched(self, fields: list[Field], tail: bytes) -> None:  # noqa: ARG002
        self.answer_failed(BadAnswerError("the readiness path switches protocols"))

    def answer_failed(self, error: UpstreamError) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)

    def replica_takes_more(self) -> None:
        """A probe is small."""
