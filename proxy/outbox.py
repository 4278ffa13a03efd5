"""Requests leave together, at the end of the step of the event loop that brought them.

Whatever arrived at once is answered first, then all that is asked of replicas is written in one go. A peer that went
to sleep has to be woken, which costs as much as everything else about a write. Written to now and then, with time to
fall asleep between, it is woken each time; written to in one go, once for many. Alone, a request waits for nothing.
"""

import asyncio
from typing import Protocol


class Prepared(Protocol):
    def send_prepared(self) -> None:
        """Send what was prepared, unless that is of no use any more."""


class Outbox:
    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Prepared] = []

    def add(self, prepared: Prepared) -> None:
        if not self._waiting:
            self._loop.call_soon(self._send)
        self._waiting.append(prepared)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.send_prepared()
