"""What befalls a request, and the connection it came on."""

import asyncio
import itertools
import random
from collections.abc import Callable, Hashable
from typing import Protocol

from sample_app.faults.chosen import Chosen, Fault, fired


class AskedForError(Exception):
    """What is answered instead of an answer."""

    def __init__(self, fault: Fault, what: str) -> None:
        super().__init__(f"fault {fault}: {what}")
        self.fault = fault


class Mishaps:
    """Those of one replica. Which request the seeded ones meet is no request's doing."""

    def __init__(self, chosen: Chosen, *, seed: str) -> None:
        self._chosen = chosen
        self._numbers = itertools.count(1)
        self._chance = random.Random(seed)  # noqa: S311  the same draws again are what it is for

    async def befall(self, request_id: str) -> None:
        """Keep the request waiting, or raise, as was asked for. Probes are spared: readiness is beyond reproach."""
        chosen = self._chosen
        if Fault.ADDS_LATENCY in chosen:
            fired(Fault.ADDS_LATENCY, id=request_id)
            await asyncio.sleep(chosen[Fault.ADDS_LATENCY])
        if Fault.ALWAYS_ERRORS in chosen:
            raise self._error(Fault.ALWAYS_ERRORS, request_id, "every request is answered so")
        if Fault.ANSWERS_ERRORS in chosen and next(self._numbers) % round(chosen[Fault.ANSWERS_ERRORS]) == 0:
            every = f"{chosen[Fault.ANSWERS_ERRORS]:g}"
            raise self._error(Fault.ANSWERS_ERRORS, request_id, f"every request of {every} is answered so")
        if Fault.ERROR_RATIO in chosen and self._chance.random() < chosen[Fault.ERROR_RATIO]:
            share = f"{chosen[Fault.ERROR_RATIO]:.2%}"
            raise self._error(Fault.ERROR_RATIO, request_id, f"{share} of all requests are answered so")

    def _error(self, fault: Fault, request_id: str, what: str) -> AskedForError:
        fired(fault, id=request_id)
        return AskedForError(fault, what)


class Closable(Hashable, Protocol):
    """A client's connection."""

    def force_close(self) -> None: ...


class Connections:
    """Closes those that were idle for a moment, whatever was said about keeping them, if that was asked for."""

    def __init__(self, chosen: Chosen, *, is_busy: Callable[[Hashable], bool]) -> None:
        self._after = chosen.get(Fault.CLOSES_KEEPALIVE)
        self._is_busy = is_busy
        self._waiting: dict[Hashable, asyncio.TimerHandle] = {}

    def answered(self, connection: Closable) -> None:
        if self._after is None:
            return
        before = self._waiting.pop(connection, None)
        if before is not None:
            before.cancel()
        self._waiting[connection] = asyncio.get_running_loop().call_later(self._after, self._close, connection)

    def _close(self, connection: Closable) -> None:
        del self._waiting[connection]
        if not self._is_busy(connection):
            fired(Fault.CLOSES_KEEPALIVE)
            connection.force_close()
