"""After a 101: bytes go both ways as they are. Only at the drain deadline does the proxy speak WebSocket itself."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from proxy.frames import GOING_AWAY, FrameBoundary, close_frame
from proxy.ledger import Result
from proxy.upstream import UpstreamConnection

_FAREWELL_SECONDS = 1.0


class Client(Protocol):
    """The client's side, as a tunnel needs it."""

    def send(self, data: bytes) -> None: ...
    def send_eof(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def abort(self) -> None: ...


class Tunnel:
    """`ended` is called once with how it ended; `left` is set when the client's connection may be closed."""

    def __init__(
        self,
        client: Client,
        connection: UpstreamConnection,
        ended: Callable[[Result], None],
        *,
        grace: float,
        mask: bytes,
    ) -> None:
        self._client = client
        self._connection = connection
        self._ended = ended
        self._grace = grace
        self._mask = mask
        self._to_client, self._to_replica = FrameBoundary(), FrameBoundary()
        self._client_done = self._replica_done = False
        self._cutting: asyncio.TimerHandle | None = None
        self._over = False
        self.up = self.down = 0
        self.left = asyncio.Event()

    # From the replica

    def from_replica(self, data: bytes) -> None:
        if self._cutting is not None:
            end = self._to_client.first_in(data)
            self._send_down(data if end is None else data[:end])
            if end is not None:
                self._say_goodbye()
            return
        self._to_client.feed(data)
        self._send_down(data)

    def replica_ended(self) -> None:
        self._replica_done = True
        if self._client_done:
            self._end(Result.OK)
        else:
            self._client.send_eof()

    def replica_lost(self) -> None:
        if self._over:
            return
        if not self._replica_done:
            self._client.abort()
        self._end(Result.OK if self._replica_done else Result.TRUNCATED)

    def replica_paused(self, *, paused: bool) -> None:
        if paused:
            self._client.pause_reading()
        else:
            self._client.resume_reading()

    # From the client

    def from_client(self, data: bytes) -> None:
        if self._over:
            # What it sent before it saw the close frame, and its answer to it, after which nothing more comes.
            self._to_replica.feed(data)
            if self._to_replica.closing and self._to_replica.reached:
                self.left.set()
            return
        self._to_replica.feed(data)
        self.up += len(data)
        self._connection.write(data)

    def client_ended(self) -> None:
        self._client_done = True
        if self._over or self._replica_done:
            self._end(Result.OK)
            self.left.set()
        else:
            self._connection.write_eof()

    def client_gone(self) -> None:
        self._end(Result.OK if self._client_done else Result.CLIENT_GONE)
        self.left.set()

    def client_paused(self, *, paused: bool) -> None:
        if paused:
            self._connection.pause_reading()
        else:
            self._connection.resume_reading()

    # The drain deadline

    def cut(self) -> None:
        """Close it with 1001 between two frames, or break it off if a frame does not end in time."""
        if self._over or self._cutting is not None:
            return
        if self._to_client.closing and self._to_replica.closing and self._to_client.reached:
            # Both have said that it is over: only the connections are left to be closed.
            self._end(Result.OK)
            return
        self._cutting = asyncio.get_running_loop().call_later(self._grace, self._break_off)
        if self._to_client.reached:
            self._say_goodbye()
        else:
            self._connection.resume_reading()

    async def farewell(self) -> None:
        """Wait a little for the client to answer the close frame: the claim is given back already."""
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await self.left.wait()
        except TimeoutError:
            return

    def _say_goodbye(self) -> None:
        if not self._to_client.closing:
            self._client.send(close_frame(GOING_AWAY))
        if self._to_replica.reached and not self._to_replica.closing:
            self._connection.write(close_frame(GOING_AWAY, self._mask))
        self._client.resume_reading()
        self._end(Result.CUT)

    def _break_off(self) -> None:
        self._client.abort()
        self._end(Result.ABORTED_AT_DRAIN)

    def _send_down(self, data: bytes) -> None:
        self.down += len(data)
        self._client.send(data)

    def _end(self, result: Result) -> None:
        if self._over:
            return
        self._over = True
        if self._cutting is not None:
            self._cutting.cancel()
        self._connection.close()
        if result is not Result.CUT:
            self.left.set()
        self._ended(result)
