"""What whoever changes the schema sees of this process: a shared advisory lock, keyed by the version of the code.

Whoever takes a version out of the schema takes the same key exclusively first. So there is no moment in which a
process starts on a schema that is being taken from it: it waits for its lease, and then reads that it is gone.
"""

import asyncio
from typing import Any

import psycopg

from sample_app.database import LEASE_OPTIONS, DatabaseError, translated

_CLASS = 4997442
_SECONDS = 5.0
_TAKE = "select pg_try_advisory_lock_shared(%s, hashtext(%s)) as had"
_THERE = "select to_regclass('lab_gone') is not null as there"
_GONE = "select phase from lab_gone where version = %s"


class VersionGoneError(Exception):
    """The schema can not serve this version any more, and never will again."""


class Lease:
    """Held on a connection of its own for as long as the process lives: the server gives it back when that ends."""

    def __init__(self, *, code: str, replica: str) -> None:
        self._code = code
        self._name = f"lab/sample_app/{code}/{replica}"
        self._connection: psycopg.AsyncConnection[dict[str, Any]] | None = None

    async def hold(self) -> None:
        """Have it, or have it again. DatabaseError while somebody keeps it; VersionGoneError once it is of no use."""
        with translated():
            async with asyncio.timeout(_SECONDS):
                if self._connection and not self._connection.closed:
                    try:
                        await self._connection.execute("select 1")
                    except psycopg.OperationalError:
                        await self._connection.close()
                    else:
                        return
                await self._take()

    async def close(self) -> None:
        if self._connection:
            await self._connection.close()

    async def _take(self) -> None:
        connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
            application_name=self._name[:63], **LEASE_OPTIONS
        )
        try:
            await self._ask(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection

    async def _ask(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        # not the lock that waits: waiting in a statement would itself be waited for by an index that is being built
        if not (await _row(connection, _TAKE, _CLASS, self._code))["had"]:
            message = f"the schema is being changed, and {self._code} has to wait until it is known whether it may run"
            raise DatabaseError(code="55P03", message=message, reachable=True)
        if (await _row(connection, _THERE))["there"] and (gone := await _row(connection, _GONE, self._code)):
            raise VersionGoneError(f"the schema is {gone['phase']}: {self._code} can not run on it any more")


async def _row(connection: psycopg.AsyncConnection[dict[str, Any]], sql: str, *values: object) -> dict[str, Any]:
    return await (await connection.execute(sql, values)).fetchone() or {}
