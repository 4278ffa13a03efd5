"""The way to PostgreSQL: a small pool, waits that end, and every failure as one `DatabaseError`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from sample_app.app_code import Driver

Row = dict[str, Any]


class Cursor(psycopg.AsyncCursor[Row]):
    """Leaves the statement with the error that refused it: the driver's own does not know it any more."""

    async def execute(self, query: Any, *arguments: Any, **options: Any) -> "Cursor":
        try:
            await super().execute(query, *arguments, **options)
        except psycopg.Error as error:
            error.add_note(" ".join(str(query).split()))
            raise
        return self


Connection = psycopg.AsyncConnection[Row]

_CONNECT_SECONDS = 3
_POOL_SECONDS = 3.0
_QUERY_SECONDS = 10.0
_UNREACHABLE = "08006"  # connection failure
_DRIVER = "XX000"  # internal error
_PREPARE_AFTER = 5
_PLAIN = Driver()

_OPTIONS: dict[str, Any] = {
    # each statement is a transaction of its own
    "autocommit": True,
    # no prepared statements: one that outlives a schema change can fail for as long as its connection lives
    "prepare_threshold": None,
    "connect_timeout": _CONNECT_SECONDS,
    "application_name": "sample_app",
    "row_factory": dict_row,
    "cursor_factory": Cursor,
}

LEASE_OPTIONS = {name: value for name, value in _OPTIONS.items() if name != "application_name"} | {
    # a peer that is gone without a word keeps its lease for so long, not for hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class DatabaseError(Exception):
    """`code` is the SQLSTATE; `reachable` tells a refused statement from a database that is not there.

    statement: what was refused, on one line; empty where it was no statement.
    """

    def __init__(self, *, code: str, message: str, reachable: bool, statement: str = "") -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.reachable = reachable
        self.statement = statement


class Database:
    """Connections to the database that libpq's own variables name (PGHOST, ..)."""

    def __init__(self, driver: Driver = _PLAIN) -> None:
        self._options = _OPTIONS | {
            "autocommit": driver.autocommit,
            "prepare_threshold": _PREPARE_AFTER if driver.prepare else None,
        }
        self._pool = AsyncConnectionPool[Connection](
            connection_class=psycopg.AsyncConnection[dict[str, Any]],
            kwargs=self._options,
            min_size=1,
            max_size=4,
            timeout=_POOL_SECONDS,
            # give up soon: the next request then tries at once, instead of waiting out a grown back-off
            reconnect_timeout=2.0,
            open=False,
        )

    @asynccontextmanager
    async def first_connection(self) -> AsyncIterator[Connection]:
        """Connect without the pool, whose first retry would come only after a second, and open the pool after."""
        with translated():
            async with asyncio.timeout(_QUERY_SECONDS):
                connection = await psycopg.AsyncConnection[dict[str, Any]].connect(**self._options)
                async with connection:
                    yield connection
            await self._pool.open()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        with translated():
            async with asyncio.timeout(_QUERY_SECONDS), self._pool.connection() as connection:
                yield connection

    async def close(self) -> None:
        await self._pool.close(timeout=1.0)


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        message = f"no answer from the database within {_QUERY_SECONDS:g} s"
        raise DatabaseError(code=_UNREACHABLE, message=message, reachable=False) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        # without an SQLSTATE it is the driver that speaks: no connection, a broken one, none free in time
        reachable = error.sqlstate is not None and not error.sqlstate.startswith(("08", "57P"))
        code = error.sqlstate or _UNREACHABLE
        raise DatabaseError(code=code, message=_first_line(error), reachable=reachable) from error
    except psycopg.Error as error:
        code, message = error.sqlstate or _DRIVER, _first_line(error)
        raise DatabaseError(code=code, message=message, reachable=True, statement=_statement_of(error)) from error


def _statement_of(error: psycopg.Error) -> str:
    return next(iter(getattr(error, "__notes__", ())), "")


def _first_line(error: psycopg.Error) -> str:
    return error.diag.message_primary or next(iter(str(error).splitlines()), type(error).__name__)
