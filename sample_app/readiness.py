"""May this replica be given requests? It says so itself, once its first query has succeeded.

After that first query, database trouble does not take it back: all replicas share one database, and a fleet of which
none is ready answers nothing at all.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import NoReturn

from sample_app import log
from sample_app.app_code import Code
from sample_app.database import Connection, Database, DatabaseError
from sample_app.faults import Chosen, Fault, fired, is_down
from sample_app.lease import Lease

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0

_COLUMNS = """
    select column_name from information_schema.columns
    where table_schema = current_schema() and table_name = 'parcels'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the last look at the database found."""

    reached: bool = False
    trouble: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The answer to `GET /readyz`."""

    ready: bool
    detail: str
    fault: Fault | None = None
    """Why it is not ready, if that was asked for."""


def judge(seen: Seen, *, stopping: bool, faults: Chosen, flapped: bool = False) -> Ready:
    if stopping:
        return Ready(ready=False, detail="stopping")
    if Fault.NEVER_READY in faults:
        return _asked_for(Fault.NEVER_READY, f"fault {Fault.NEVER_READY}: this replica never gets ready")
    if not seen.reached:
        return Ready(ready=False, detail=seen.trouble or "waiting for the first query")
    if seen.missing:
        return _asked_for(Fault.CHECKS_SCHEMA, f"parcels has no column {', '.join(seen.missing)}")
    if flapped:
        return _asked_for(Fault.FLAPS, f"fault {Fault.FLAPS}: not ready for a moment")
    return Ready(ready=True, detail=seen.trouble or "ok")


def _asked_for(fault: Fault, detail: str) -> Ready:
    return Ready(ready=False, detail=detail, fault=fault)


class Readiness:
    """Looks at the database now and then, and remembers what it saw: an answer never waits for the database."""

    def __init__(self, *, database: Database, lease: Lease, code: Code, faults: Chosen) -> None:
        self._database = database
        self._lease = lease
        self._code = code
        self._faults = faults
        self._seen = Seen()
        self._fault: Fault | None = None
        self._announced = False

    def now(self, *, stopping: bool) -> Ready:
        flapped = is_down(self._faults, time.monotonic())
        ready = judge(self._seen, stopping=stopping, faults=self._faults, flapped=flapped)
        if ready.fault is not None and ready.fault is not self._fault:
            fired(ready.fault)
        self._fault = ready.fault
        return ready

    async def watch(self) -> NoReturn:
        pause = _FIRST_PAUSE
        while True:
            self._seen = await self._look()
            self._announce()
            await asyncio.sleep(pause)
            pause = _LONGEST_PAUSE if self._seen.reached else min(pause * 2, _LONGEST_PAUSE)

    async def _look(self) -> Seen:
        seen, database = self._seen, self._database
        try:
            await self._lease.hold()
            async with database.connection() if seen.reached else database.first_connection() as connection:
                await connection.execute("select 1")
                missing = await self._missing_columns(connection)
        except DatabaseError as error:
            return Seen(reached=seen.reached, trouble=f"database: {error}", missing=seen.missing)
        return Seen(reached=True, missing=missing)

    async def _missing_columns(self, connection: Connection) -> tuple[str, ...]:
        if Fault.CHECKS_SCHEMA not in self._faults:
            return ()
        rows = await (await connection.execute(_COLUMNS)).fetchall()
        present = {row["column_name"] for row in rows}
        return tuple(column for column in self._code.columns if column not in present)

    def _announce(self) -> None:
        if not self._announced and self.now(stopping=False).ready:
            self._announced = True
            log.write("ready")
