import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import psycopg
import pytest

from lab.endpoint import resolve
from lab.images import ensure_postgres_base
from lab.images.context import pack
from lab.images.store import CALL_SECONDS, connect

pytestmark = pytest.mark.docker

ENVIRONMENT = {"POSTGRES_USER": "o'lab", "POSTGRES_PASSWORD": "pass'\"word", "POSTGRES_DB": "parcel s"}
DEADLINE = 20.0


@dataclass
class Database:
    """One hardened container, as the manifest runs it."""

    api: docker.APIClient
    id: str
    environment: dict[str, str] = field(default_factory=dict)

    def connect(self) -> psycopg.Connection:
        """Connect as soon as anybody could: nothing but a refused connection is waited out."""
        port = int(self.api.port(self.id, 5432)[0]["HostPort"])
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                return psycopg.connect(
                    host="127.0.0.1",
                    port=port,
                    user=self.environment["POSTGRES_USER"],
                    password=self.environment["POSTGRES_PASSWORD"],
                    dbname=self.environment["POSTGRES_DB"],
                    connect_timeout=2,
                )
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def state(self) -> dict:
        return self.api.inspect_container(self.id)["State"]

    def log(self) -> str:
        return self.api.logs(self.id).decode()


Start = Callable[..., Database]


@pytest.fixture(scope="module")
def api() -> Iterator[docker.APIClient]:
    with connect(resolve(os.environ, Path.home()), CALL_SECONDS) as client:
        yield client


@pytest.fixture
def start(api) -> Iterator[Start]:
    made: list[str] = []

    def run(environment: dict[str, str], *, files: bytes = b"", wait: bool = True) -> Database:
        host = api.create_host_config(
            read_only=not files,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            tmpfs={"/tmp": "", "/var/run/postgresql": ""},
            port_bindings={5432: ("127.0.0.1", None)},
            pids_limit=100,
        )
        container = api.create_container(
            ensure_postgres_base(), environment=environment, ports=[5432], user="postgres", host_config=host
        )["Id"]
        made.append(container)
        if files:
            api.put_archive(container, "/docker-entrypoint-initdb.d", files)
        api.start(container)
        return Database(api, container, environment)

    yield run
    for container in made:
        api.remove_container(container, v=True, force=True)


def test_the_first_start_makes_the_role_and_the_database_it_was_asked_for(start):
    database = start(ENVIRONMENT)

    with database.connect() as link:
        row = link.execute(
            "select current_user, current_database(), rolsuper from pg_roles where rolname = current_user"
        )
        assert row.fetchone() == ("o'lab", "parcel s", True)
        assert link.execute("show server_version_num").fetchone()[0].startswith("17")


def test_a_wrong_password_is_refused(start):
    database = start(ENVIRONMENT)
    database.connect().close()
    database.environment = {**ENVIRONMENT, "POSTGRES_PASSWORD": "wrong"}

    port = int(database.api.port(database.id, 5432)[0]["HostPort"])
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=port, user="o'lab", password="wrong", dbname="parcel s")


def test_a_restart_keeps_the_data(start):
    database = start(ENVIRONMENT)
    with database.connect() as link:
        link.execute("create table kept as select 7 as n")
    database.api.restart(database.id, timeout=10)

    with database.connect() as link:
        assert link.execute("select n from kept").fetchone() == (7,)
    assert "Interrupted" not in database.log()


def test_a_start_that_was_cut_short_is_begun_anew(start):
    database = start(ENVIRONMENT)
    with database.connect() as link:
        link.execute("create table half_made as select 1")
    marker = database.api.exec_create(database.id, ["touch", "/var/lib/postgresql/data/initialising"])
    database.api.exec_start(marker)
    database.api.restart(database.id, timeout=10)

    with database.connect() as link:
        assert link.execute("select to_regclass('half_made')").fetchone() == (None,)


def test_it_becomes_healthy_and_stops_at_once_with_exit_0(start):
    database = start(ENVIRONMENT)
    deadline = time.monotonic() + DEADLINE
    while database.state()["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline, database.state()
        time.sleep(0.1)

    database.api.stop(database.id, timeout=10)

    assert database.state()["ExitCode"] == 0


def test_without_a_password_it_says_what_is_missing(start):
    database = start({"POSTGRES_USER": "lab"})
    database.api.wait(database.id, timeout=DEADLINE)

    assert database.state()["ExitCode"] == 1
    assert "POSTGRES_PASSWORD is empty" in database.log()


def test_the_scripts_of_the_first_start_run_before_anybody_can_connect(start):
    scripts = pack(
        {
            "1.sql": b"create table t as select 1 as n; select pg_sleep(0.3);",
            "2.sh": b'psql -c "insert into t values (2)"',
        }
    )
    database = start(ENVIRONMENT, files=scripts)

    with database.connect() as link:
        assert link.execute("select n from t order by n").fetchall() == [(1,), (2,)]
