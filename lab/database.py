"""The database adapter: PostgreSQL through its published port. The only importer of psycopg in the lab."""

import re
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
_COMMIT = re.compile(r"\bcommit\s*;\s*\Z", re.IGNORECASE)
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
            refused = "authentication failed" in str(error)
            fix = "lab down, then lab up: its secrets are not those in .lab" if refused else "lab up"
            raise LabError(
                id="database-gone", what=f"the database does not answer: {error}", where=self._where, fix=fix
            ) from error
        with connection:
            yield connection

    def wait_until_up(self) -> None:
        """Return at its first answer over the network. LabError after a minute."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self.query("select 1")
            except LabError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(0.05)

    def query(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> list[tuple[Any, ...]]:
        with self.connect() as connection, _explained(sql, self._where):
            return connection.execute(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> None:
        with self.connect() as connection, _explained(sql, self._where):
            connection.execute(sql, parameters)

    def query_file(self, path: Path) -> dict[str, Any]:
        """The first row of what a SQL file asks for, by the names of its columns."""
        with self.connect() as connection, _explained(path.name, self._where):
            cursor = connection.execute(path.read_text())
            names = [column.name for column in cursor.description or ()]
            return dict(zip(names, cursor.fetchone() or (), strict=False))

    def run_file(self, path: Path, *, then: str = "", parameters: Sequence[object] = ()) -> None:
        """Run a SQL file that brings its own transactions, and `then` with the last of them: both or neither.

        Busy tables are tried again.
        """
        sql = path.read_text()
        deadline = time.monotonic() + STEP_SECONDS
        for attempt in range(LOCK_TRIES):
            try:
                with self.connect() as connection:
                    last = psycopg.ClientCursor(connection).mogrify(then, parameters)
                    connection.execute(_with_the_last(sql, last).encode())
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


def _with_the_last(sql: str, statement: str) -> str:
    """The statement within the last transaction of the text; a text that begins none is one by itself."""
    end = _COMMIT.search(sql)
    return f"{sql[: end.start()]}{statement};\ncommit;" if end else f"{sql}\n;{statement};"


def _failed(what: str, error: psycopg.Error, where: str) -> LabError:
    return LabError(id="database", what=f"{what}: {error.sqlstate} {error}", where=where, fix="lab logs db")
