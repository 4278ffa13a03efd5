"""Two ways of being wrong about a write that no answer shows: it is lost after it was acknowledged, or done twice.

Every third write is one. The app's own log names each (`fault`), which is how a verdict can be held against the truth.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Container

from sample_app import log
from sample_app.database import Database
from sample_app.faults import Fault

WRONG_EVERY = 3
_AFTER_SECONDS = 0.01
_AGAIN = "-again"


class WrongWrites:
    """What is done about each new parcel, if that was asked for."""

    def __init__(self, chosen: Container[Fault], database: Database) -> None:
        self._chosen = [fault for fault in (Fault.WRITES_TWICE, Fault.LOSES_WRITES) if fault in chosen]
        self._database = database
        self._numbers = itertools.count(1)
        self._losing: set[asyncio.Task[None]] = set()

    async def done(self, request_id: str, parcel: int, key: str, write: Callable[[str], Awaitable[object]]) -> None:
        """Told of each parcel that was stored; `write` stores it once more, under another key."""
        if not self._chosen or next(self._numbers) % WRONG_EVERY:
            return
        if Fault.WRITES_TWICE in self._chosen:
            await write(key + _AGAIN)
            log.write("fault", id=request_id, fault=Fault.WRITES_TWICE.value)
        if Fault.LOSES_WRITES in self._chosen:
            task = asyncio.get_running_loop().create_task(self._lose(request_id, parcel))
            self._losing.add(task)
            task.add_done_callback(self._losing.discard)

    async def finished(self) -> None:
        if self._losing:
            await asyncio.wait(self._losing)

    async def _lose(self, request_id: str, parcel: int) -> None:
        """Once it is answered, and told only when it is done."""
        await asyncio.sleep(_AFTER_SECONDS)
        async with self._database.connection() as connection:
            await connection.execute("delete from parcels where id = %(id)s", {"id": parcel})
        log.write("fault", id=request_id, fault=Fault.LOSES_WRITES.value, parcel=parcel)
