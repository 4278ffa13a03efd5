"""From the first request to the last: what is in flight, and when the process may end."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Lifecycle:
    """Counts the requests in flight, and knows whether the replica was told to stop."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._nothing_in_flight = asyncio.Event()
        self._nothing_in_flight.set()
        self._in_flight = 0

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def stop(self) -> None:
        self._stop.set()

    async def told_to_stop(self) -> None:
        await self._stop.wait()

    @contextmanager
    def request(self) -> Iterator[None]:
        self._in_flight += 1
        self._nothing_in_flight.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._nothing_in_flight.set()

    async def finished(self, *, within: float) -> bool:
        """Wait until nothing is in flight; False if something still is after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._nothing_in_flight.wait()
        except TimeoutError:
            return False
        return True
