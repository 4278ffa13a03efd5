"""The database adapter: PostgreSQL through its published port. The only importer of psycopg in the lab."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from lab.errors import LabError

CONNECT_SECONDS = 60.0
STEP_SECONDS = 60.0
LOCK_TRIES = 50
_BUSY = {"55P03", "40P01"}
"""lock_not_available and deadlock_detected: try again, the table was busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where it is. Each use opens its own connection: nothing is held between steps."""

    port: int
    password: str
    host: str = "127.0.0.1"
    user: str = "lab"
    name: str = "lab"

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        try:
            connection = psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=self.name,
                connect_timeout=3,
                autocommit=True,
                application_name="lab",
                options="-c statement_timeout=60s",
            )
        except psycopg.OperationalError as error:
            raise LabError(
                id="database-gone", what=f"the database does not answer: {error}", where=self._where, fix="lab up"
            ) from error
        with connection:
            yield connection

    def wait_until_up(self) -> None:
        """Return at its first answer over the network. LabError after a minute."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                with self.connect() as connection:
                    connection.execute("select 1")
                    return
            except LabError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def query(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> list[tuple[Any, ...]]:
        with self.connect() as connection, _explained(sql, self._where):
            return connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        with self.connect() as connection, _explained(sql, self._where):
            connection.execute(sql, parameters)

    def run_file(self, path: Path) -> None:
        """Run a SQL file that brings its own transaction. Busy tables are tried again."""
        sql = path.read_text()
        deadline = time.monotonic() + STEP_SECONDS
        for attempt in range(LOCK_TRIES):
            try:
                with self.connect() as connection:
                    connection.execute(sql)
            except psycopg.Error as error:
                if error.sqlstate not in _BUSY or time.monotonic() > deadline or attempt == LOCK_TRIES - 1:
                    raise _failed(str(path.name), error, self._where) from error
                time.sleep(0.05 * (1 + attempt % 5))
            else:
                return

    @property
    def _where(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}"


@contextmanager
def _explained(sql: str, where: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise _failed(sql.strip().splitlines()[0], error, where) from error


def _failed(what: str, error: psycopg.Error, where: str) -> LabError:
    return LabError(id="database", what=f"{what}: {error.sqlstate} {error}", where=where, fix="lab logs db")
