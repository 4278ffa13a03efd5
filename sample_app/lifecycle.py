"""From the first request to the last: what is in flight, and when the process may end."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager


class Lifecycle:
    """Knows the requests in flight, each by the connection it came on, and whether the replica was told to stop."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._nothing_in_flight = asyncio.Event()
        self._nothing_in_flight.set()
        self._busy: set[Hashable] = set()
        self._limits: dict[asyncio.Timeout, float] = {}

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def in_flight(self) -> int:
        return len(self._busy)

    def is_busy(self, connection: Hashable) -> bool:
        return connection in self._busy

    def stop(self) -> None:
        if self.stopping:
            return
        self._stop.set()
        now = asyncio.get_running_loop().time()
        for limit, patience in self._limits.items():
            limit.reschedule(now + patience)

    async def told_to_stop(self) -> None:
        await self._stop.wait()

    @contextmanager
    def request(self, connection: Hashable) -> Iterator[None]:
        """A connection carries one request at a time."""
        self._busy.add(connection)
        self._nothing_in_flight.clear()
        try:
            yield
        finally:
            self._busy.discard(connection)
            if not self._busy:
                self._nothing_in_flight.set()

    @asynccontextmanager
    async def until_stopping(self, *, patience: float = 0.0) -> AsyncIterator[None]:
        """Leave the block, wherever it waits, `patience` seconds after the replica is told to stop."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                if self.stopping:
                    limit.reschedule(asyncio.get_running_loop().time() + patience)
                else:
                    self._limits[limit] = patience
                yield
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            self._limits.pop(limit, None)

    async def finished(self, *, within: float) -> bool:
        """Wait until nothing is in flight; False if something still is after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._nothing_in_flight.wait()
        except TimeoutError:
            return False
        return True
