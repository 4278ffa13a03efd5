"""The proxy's connections to one replica: the idle ones, last used first, and a count of all that are open."""

import asyncio
from collections.abc import Callable

from proxy.upstream import UpstreamConnection

# Below the shortest keep-alive usual in app servers (2 to 5 s): the proxy closes first, never the replica.
IDLE_SECONDS = 4.0


_Made = tuple[asyncio.Transport, UpstreamConnection]


class ConnectFailedError(Exception):
    """No connection was made: nothing was sent, so another replica may be asked."""


class Pool:
    def __init__(self, address: str, on_empty: Callable[[], None]) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._on_empty = on_empty
        self._loop = asyncio.get_running_loop()
        self._open: set[UpstreamConnection] = set()
        # In the order of their last use.
        self._idle: dict[UpstreamConnection, None] = {}
        self._connecting: set[asyncio.Task[_Made]] = set()
        self._pooling = True
        self._closes_early = False
        self.address = address.encode()

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def connections(self) -> int:
        return len(self._open)

    def take(self, now: float, safe: bool) -> UpstreamConnection | None:
        """Return an idle connection that the replica has not closed, nor is about to.

        For a request that may not be sent twice it has to be quiet as well: the event loop may not have been told yet
        that the replica closed it. And a replica that closes idle connections by itself is not trusted with one.
        """
        if not safe and self._closes_early:
            return None
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.alive and now - connection.idle_since < IDLE_SECONDS and (safe or connection.is_quiet()):
                return connection
            connection.abort()
        return None

    async def connect(self, seconds: float) -> UpstreamConnection:
        made: list[UpstreamConnection] = []

        def make() -> UpstreamConnection:
            made.append(UpstreamConnection(self._open.add, self._gone))
            return made[0]

        connecting = self._loop.create_task(self._loop.create_connection(make, self._host, self._port))
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        try:
            async with asyncio.timeout(seconds):
                _, connection = await connecting
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            self._drop(connecting, made)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            removed = isinstance(error, asyncio.CancelledError)
            why = "its route was removed" if removed else str(error) or f"no connection within {seconds:g} s"
            raise ConnectFailedError(why) from error
        return connection

    def put(self, connection: UpstreamConnection, now: float) -> None:
        """Take a connection back after its exchange: kept if it can serve again and the replica may be asked again."""
        if not (self._pooling and connection.is_reusable()):
            connection.abort()
            return
        connection.rest()
        connection.idle_since = now
        self._idle[connection] = None

    def expire(self, now: float) -> None:
        """Close what has been idle for too long."""
        while self._idle and now - next(iter(self._idle)).idle_since >= IDLE_SECONDS:
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            oldest.abort()

    def close(self) -> None:
        """Close what is idle now, and from now on each connection when its exchange is over."""
        self._pooling = False
        idle, self._idle = self._idle, {}
        for connection in idle:
            connection.abort()

    def reopen(self) -> None:
        self._pooling = True

    def abort(self) -> None:
        """Close everything, connects under way included: the address may be another container's when they end."""
        self._pooling = False
        for connecting in self._connecting:
            connecting.cancel()
        self._idle.clear()
        for connection in list(self._open):
            connection.break_off()

    def _drop(self, connecting: "asyncio.Task[_Made]", made: list[UpstreamConnection]) -> None:
        """Leave nothing behind of a connect that nobody waits for, at whatever moment it was given up.

        It may be made all the same right after; and of one given up while it was made, uvloop tells no end.
        """
        for connection in made:
            connection.abort()
            self._gone(connection)
        connecting.add_done_callback(_abort_made)

    def _gone(self, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            del self._idle[connection]
            self._closes_early = True
        if not self._open:
            # The socket itself is closed right after this call returns: empty is told one step later.
            self._loop.call_soon(self._on_empty)


def _abort_made(connecting: "asyncio.Task[_Made]") -> None:
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[1].abort()
