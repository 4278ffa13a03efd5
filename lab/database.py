"""The database adapter: PostgreSQL through its published port. The only importer of psycopg in the lab."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import psycopg

from lab.errors import LabError

CONNECT_SECONDS = 60.0
STATEMENT_SECONDS = 60.0
BUSY = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected: try again, others were in the way."""
IN_USE = "55006"

Parameters = Sequence[object] | Mapping[str, object] | None
Inside = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command where the server runs: (its exit code, what it said)."""


class SqlError(LabError):
    """PostgreSQL refused a statement."""

    def __init__(self, what: str, error: psycopg.Error, where: str) -> None:
        super().__init__(
            id="database", what=f"{what}: {error.sqlstate} {str(error).strip()}", where=where, fix="lab logs db"
        )
        self.sqlstate = error.sqlstate or ""

    @property
    def busy(self) -> bool:
        return self.sqlstate in BUSY


class Session:
    """One connection, kept for as long as what it holds (advisory locks) has to be held."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]", where: str) -> None:
        self._connection = connection
        self._where = where

    @property
    def pid(self) -> int:
        return self._connection.info.backend_pid

    def run(self, sql: str, parameters: Parameters = None, *, called: str = "") -> list[tuple[Any, ...]]:
        with _explained(called or sql, self._where):
            cursor = self._connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def row(self, sql: str, parameters: Parameters = None, *, called: str = "") -> dict[str, Any]:
        """The first row, by the names of its columns."""
        with _explained(called or sql, self._where):
            cursor = self._connection.execute(sql.encode(), parameters)
            names = [column.name for column in cursor.description or ()]
            return dict(zip(names, cursor.fetchone() or (), strict=False))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with _explained("commit", self._where), self._connection.transaction():
            yield

    def limit(self, *, lock: float, statement: float, local: bool) -> None:
        """Bound what follows, in seconds; 0 is no bound. A try that is repeated has to be bounded anew."""
        for name, seconds in (("lock_timeout", lock), ("statement_timeout", statement)):
            self.run("select set_config(%s, %s, %s)", (name, f"{int(seconds * 1000)}ms", local))


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where it is. Each use opens its own connection: nothing is held between steps."""

    port: int
    password: str
    host: str = "127.0.0.1"
    user: str = "lab"
    name: str = "lab"
    inside: Inside | None = field(default=None, compare=False, repr=False)

    def connect(self) -> "AbstractContextManager[psycopg.Connection[tuple[Any, ...]]]":
        return self._connected("lab")

    @contextmanager
    def session(self, application: str) -> Iterator[Session]:
        """A connection that the server gives up soon after its client died, in the middle of a statement too."""
        with self._connected(application) as connection:
            with suppress(psycopg.Error):  # not every platform's server can
                connection.execute("set client_connection_check_interval = '500ms'")
            yield Session(connection, self.where)

    @contextmanager
    def _connected(self, application: str) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        try:
            connection = psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=self.name,
                connect_timeout=3,
                autocommit=True,
                application_name=application,
                options=f"-c statement_timeout={int(STATEMENT_SECONDS)}s",
            )
        except psycopg.OperationalError as error:
            refused = "authentication failed" in str(error)
            fix = "lab down, then lab up: its secrets are not those in .lab" if refused else "lab up"
            raise LabError(
                id="database-gone", what=f"the database does not answer: {error}", where=self.where, fix=fix
            ) from error
        with connection:
            yield connection

    def wait_until_up(self, alive: Callable[[], None] = lambda: None) -> None:
        """Return at its first answer over the network. LabError after a minute; `alive` raises where none can come."""
        deadline = time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                self.query("select 1")
            except LabError:
                alive()
                if time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(0.02)

    def query(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        with self.connect() as connection, _explained(sql, self.where):
            return connection.execute(sql.encode(), parameters).fetchall()

    def execute(self, sql: str, parameters: Parameters = None) -> None:
        with self.connect() as connection, _explained(sql, self.where):
            connection.execute(sql.encode(), parameters)

    @property
    def environment(self) -> dict[str, str]:
        """How another program finds it: libpq's own names, and a URL."""
        url = f"{quote(self.user)}:{quote(self.password, safe='')}@{self.host}:{self.port}/{quote(self.name)}"
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.name,
            "DATABASE_URL": f"postgresql://{url}",
        }

    @property
    def where(self) -> str:
        return f"PostgreSQL at {self.host}:{self.port}"

    def called(self, name: str) -> "Database":
        """Another database of the same server."""
        return replace(self, name=name)


@contextmanager
def _explained(sql: str, where: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise SqlError(next(iter(sql.strip().splitlines()), ""), error, where) from error
