"""Real things to test against: a PostgreSQL, and replicas of the sample app as processes of their own."""

import contextlib
import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sample_app import envelope

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from testcontainers.core.container import DockerContainer

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "sample_app" / "schema"
PATIENCE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """One server for the whole session; every test makes itself a database of its own."""

    host: str
    port: int
    user: str
    password: str
    dbname: str
    container: DockerContainer
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def conninfo(self) -> dict[str, Any]:
        names = ("host", "port", "user", "password", "dbname")
        return {name: getattr(self, name) for name in names}

    def new_database(self, name: str = "test") -> dict[str, Any]:
        """Make an empty database and return how to connect to it."""
        fresh = f"{name}_{next(self._numbers)}"
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            connection.execute(f'create database "{fresh}"')
        return {**self.conninfo, "dbname": fresh}


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    from lab.images import ensure_postgres_base

    container = (
        DockerContainer(ensure_postgres_base())
        .with_env("POSTGRES_USER", "lab")
        .with_env("POSTGRES_PASSWORD", "for-tests-only")
        .with_env("POSTGRES_DB", "lab")
    )
    container.ports = {5432: ("127.0.0.1", None)}
    with container:
        server = Postgres(
            host="127.0.0.1",
            port=int(container.get_exposed_port(5432)),
            user="lab",
            password="for-tests-only",
            dbname="lab",
            container=container,
        )
        _wait_for(server)
        # nothing here outlives the session: no test has to wait for the disk
        for statement in ("alter system set fsync = off", "select pg_reload_conf()"):
            Schema(server.conninfo).query(statement)
        yield server


def _wait_for(server: Postgres) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(**server.conninfo, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


class Schema:
    """One database and the steps of the plan on it."""

    PHASES = ("base", "expanded", "backfilled", "contracted")

    def __init__(self, conninfo: dict[str, Any]) -> None:
        self.conninfo = conninfo

    def to(self, phase: str) -> "Schema":
        """Go from nothing up to a phase."""
        steps = (
            lambda: self.run("00_base.sql"),
            lambda: self.run("10_expand.sql"),
            self.backfill,
            lambda: self.run("30_contract.sql"),
        )
        for step in steps[: self.PHASES.index(phase) + 1]:
            step()
        return self

    def run(self, file: str) -> None:
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            connection.execute((SCHEMA / file).read_text())

    def backfill(self, batch: int = 500) -> list[int]:
        """Return how many rows each batch filled."""
        statement, after, sizes = (SCHEMA / "20_backfill.sql").read_text(), 0, []
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            while True:
                row = connection.execute(statement, {"after": after, "batch": batch}).fetchone()
                assert row is not None
                if not row[1]:
                    return sizes
                after = row[0]
                sizes.append(row[1])

    def verify(self) -> tuple[int, int]:
        (row,) = self.query((SCHEMA / "20_verify.sql").read_text())
        return (row[0], row[1])

    def query(self, statement: str, values: tuple[object, ...] | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def new_schema(postgres: Postgres) -> Callable[[], Schema]:
    return lambda: Schema(postgres.new_database("app"))


@pytest.fixture
def schema(new_schema: Callable[[], Schema]) -> Schema:
    return new_schema()


@pytest.fixture(scope="session")
def old_names() -> list[str]:
    return ["Ann Lee", "Ann Lee Smith", "Cher", "Ann  Lee", "Zo\u00eb \u0141"]


@pytest.fixture
def old_rows(schema: Schema, old_names: list[str]) -> Schema:
    """A base with rows from before the change, written as V1 wrote them."""
    schema.to("base")
    insert = "insert into parcels (key, recipient_name, address) values (%s, %s, 'old')"
    for number, name in enumerate(old_names):
        schema.query(insert, (f"old-{number}", name))
    return schema


@pytest.fixture
def backfilled(old_rows: Schema) -> Schema:
    old_rows.run("10_expand.sql")
    old_rows.backfill()
    return old_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer whose body has proved to be whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    data: Any
    error: Any


class Replica:
    """A process of the app: `python -m sample_app`."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.started = time.monotonic_ns()
        self.name = environment["LAB_REPLICA"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sample_app"], env=environment, cwd=ROOT, stdout=subprocess.PIPE
        )
        self._lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._closed = False
        self._ids = itertools.count(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self._lines.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._closed = True
            self._news.notify_all()

    @property
    def log(self) -> list[dict[str, Any]]:
        with self._news:
            return list(self._lines)

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["e"] == event]

    def unanswered(self) -> list[str]:
        return sorted({line["id"] for line in self.events("begin")} - {line["id"] for line in self.events("end")})

    def logged(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait for a line of the app log."""

        def matching() -> dict[str, Any] | None:
            wanted = {"e": event, **fields}.items()
            return next((line for line in self._lines if wanted <= line.items()), None)

        with self._news:
            self._news.wait_for(lambda: matching() or self._closed, PATIENCE)
            line = matching()
        assert line, f"no {event} {fields} in {self.log}"
        return line

    @property
    def port(self) -> int:
        return int(self.logged("start")["port"])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        request_id: str = "",
        on: http.client.HTTPConnection | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        request_id = request_id or f"t-{next(self._ids)}"
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with contextlib.closing(self.connect()) if on is None else contextlib.nullcontext(on) as connection:
            connection.request(method, path, raw, {"X-Lab-Request-Id": request_id, **(headers or {})})
            response = connection.getresponse()
            whole = response.read()
        opened = envelope.unseal(whole, request_id=request_id)
        return Reply(
            status=response.status,
            headers=response.headers,
            body=whole,
            data=opened.data,
            error=opened.error,
        )

    def until(self, path: str, condition: Callable[[Reply], bool]) -> Reply:
        deadline = time.monotonic() + PATIENCE
        while not condition(reply := self.ask("GET", path)):
            assert time.monotonic() < deadline, f"{path} still answers {reply.data or reply.error}"
            time.sleep(0.02)
        return reply

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for the end of the process and of its log; return its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        assert self.process.stdout is not None
        self.process.stdout.close()


StartApp = Callable[..., Replica]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def start_app() -> Iterator[StartApp]:
    """Start replicas with `start_app(conninfo, "v2", faults=.., ready=False)`; all end with the test."""
    with _replicas() as start:
        yield start


@pytest.fixture(scope="module")
def start_shared() -> Iterator[StartApp]:
    """Start replicas for all tests of a module: for tests that each leave the others' data alone."""
    with _replicas() as start:
        yield start


@contextlib.contextmanager
def _replicas() -> Iterator[StartApp]:
    replicas: list[Replica] = []

    def start(
        conninfo: dict[str, Any], code: str = "v1", *, faults: str = "", ready: bool = True, **extra: str
    ) -> Replica:
        names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
        own = {variable: str(conninfo[name]) for variable, name in names.items()}
        own |= {"PGDATABASE": conninfo["dbname"], "PORT": "0", "APP_CODE": code, "APP_FAULTS": faults}
        own |= {"LAB_VERSION": f"{code}-test", "LAB_REPLICA": f"app-{len(replicas) + 1}.1"}
        replicas.append(Replica({**os.environ, **own, **extra}))
        if ready:
            replicas[-1].logged("ready")
        return replicas[-1]

    try:
        yield start
    finally:
        for replica in replicas:
            replica.kill()


@pytest.fixture
def in_background() -> Iterator[Callable[..., "Future[Any]"]]:
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


@pytest.fixture
def gone_database(postgres: Postgres) -> Callable[[Schema], contextlib.AbstractContextManager[None]]:
    """Make a database refuse everybody for a while; those who were connected are thrown out."""

    @contextlib.contextmanager
    def gone(schema: Schema) -> Iterator[None]:
        name, server = schema.conninfo["dbname"], Schema(postgres.conninfo)
        server.query(f'alter database "{name}" allow_connections false')
        server.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
        yield
        server.query(f'alter database "{name}" allow_connections true')

    return gone
