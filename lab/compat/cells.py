"""Level 2: a real container of a version on a copy of a phase, asked with fresh connections and with warmed ones."""

import itertools
import re
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.compat.catalogue import Symptom
from lab.compat.checks import Checks
from lab.compat.client import Client
from lab.compat.containers import Cell, Containers, service_of
from lab.compat.contract import Asker, contract, warm
from lab.compat.model import Failure
from lab.compat.oracle import Row
from lab.compat.server import Server, in_database
from lab.compat.statements import preparable
from lab.compat.suits import suits
from lab.database import Database
from lab.manifest import Version
from lab.ports import Readiness

WARM = 6
"""A driver prepares a statement after five executions."""
MOST_LOOKED_UP = 10
MOST_KEPT = 40
UNPROMISED_SECONDS = 6.0
LONGEST_NAME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every cell is made from. `environment`: how a version is told its database, as templates."""

    containers: Containers
    server: Server
    templates: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, str]
    readiness: Readiness
    ready_seconds: float
    checks: Checks
    serial: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))


@dataclass(slots=True, kw_only=True)
class Live:
    """A version that runs on a database. `rows`: those that it may be asked for, by resource."""

    version: str
    phase: str
    database: Database
    cell: Cell
    asker: Asker
    place: int
    openapi: Mapping[str, Any] | None = None
    rows: dict[str, list[Row]] = field(default_factory=dict)


class Trouble:
    """Finds in the database's log why a request failed. One cell's requests come one after another."""

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._database = database
        self._place = server.mark()
        self._looked = 0

    def told(self, failure: Failure) -> Failure:
        """The failure with the SQLSTATE and the statement that the server refused meanwhile."""
        if failure.symptom is Symptom.ERROR and not failure.sqlstate and self._looked < MOST_LOOKED_UP:
            self._looked += 1
            failed = [e for e in in_database(self._server.since(self._place), self._database) if e.failed]
            self._place = self._server.mark()
            if failed:
                last = failed[-1]
                failure = replace(failure, sqlstate=last.sqlstate, message=last.message, sql=last.query)
        return failure


def start(around: Surroundings, version: Version, phase: str, *, name: str, database: Database, promised: bool) -> Live:
    """Start it and wait until it is ready. NotReadyError if it never is."""
    environ = {key: template.format(**_where(database)) for key, template in around.environment.items()}
    cell = around.containers.start(
        around.templates[service_of(version)], name=name, port=around.readiness.port, environ=environ
    )
    client = Client(cell.port, name)
    seconds = around.ready_seconds if promised else min(around.ready_seconds, UNPROMISED_SECONDS)
    try:
        place = around.server.mark()
        _await_ready(around, cell, client, seconds)
        asker = Asker(
            version=version.serves_as, client=client, checks=around.checks, serial=around.serial, run=f"{name}-"
        )
        live = Live(version=version.serves_as, phase=phase, database=database, cell=cell, asker=asker, place=place)
        _refuse_elsewhere(around, live)
    except BaseException:
        client.close()
        raise
    if around.checks.openapi:
        answer = client.ask("GET", around.checks.openapi)
        live.openapi = answer.json if isinstance(answer.json, dict) else None
        if live.openapi is not None:
            asker.suits = suits(live.openapi)
    return live


class NotReadyError(Exception):
    """The version does not get ready on that phase; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.what)
        self.failure = failure


def look(around: Surroundings, live: Live) -> tuple[Failure, ...]:
    """Two rounds of the contract, the second with prepared statements. What fails twice is told once."""
    trouble = Trouble(around.server, live.database.name)
    found: dict[tuple[str, str], Failure] = {}
    for warmed in (False, True):
        if warmed:
            warm(live.asker, live.rows, WARM)
            trouble = Trouble(around.server, live.database.name)
        for failure in contract(live.asker, live.rows):
            key = (failure.symptom.value, failure.what.partition(" {")[0])
            if key not in found and len(found) < MOST_KEPT:
                told = trouble.told(failure)
                found[key] = replace(told, what=f"{told.what} (warmed connections)") if warmed else told
    return tuple(found.values())


def statements(around: Surroundings, live: Live) -> tuple[str, ...]:
    """What it has run so far in its database, each statement once."""
    logged = in_database(around.server.since(live.place), live.database.name)
    return preparable(entry for entry in logged if entry.client == live.cell.address)


def _await_ready(around: Surroundings, cell: Cell, client: Client, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        answer = client.ask("GET", around.readiness.path)
        if answer.status == 200:  # noqa: PLR2004
            return
        ended = around.containers.ended(cell) if not answer.status else ""
        if ended or time.monotonic() > deadline:
            why = ended or f"it is not ready after {seconds:g} s: {answer.told}"
            raise NotReadyError(
                Failure(
                    level=2,
                    symptom=Symptom.ERROR,
                    what=f"it does not start: {why}",
                    request=answer.request,
                    response=answer.told,
                    message=around.containers.log(cell),
                )
            )
        time.sleep(0.02)


def _refuse_elsewhere(around: Surroundings, live: Live) -> None:
    """A version that looks at another database than its own would make every cell green.

    One that opens a connection for each request has none between two: it is asked to write, and the log shows it.
    """
    from lab.errors import LabError

    asked = "select count(*) from pg_stat_activity where datname = %s and host(client_addr) = %s"
    database, cell = live.database, live.cell
    if around.server.database.query(asked, (database.name, cell.address))[0][0]:
        return
    for resource in around.checks.resources:
        live.asker.create(resource, live.version)
    if not any(e.client == cell.address for e in in_database(around.server.since(live.place), database.name)):
        raise LabError(
            id="compat-database",
            what=f"{cell.name} is ready, and has no connection to the database that it was given",
            where="x-lab.compat.environment in the manifest",
            fix="name there the variable that tells your app its database, e.g. DATABASE_URL: "
            "postgresql://{user}:{password}@{host}:{port}/{database}",
        )


def named(*parts: str) -> str:
    """A name for a container and a database, whatever a version or a phase is called."""
    plain = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")
    return plain if len(plain) <= LONGEST_NAME else f"{plain[: LONGEST_NAME - 9]}-{zlib.crc32(plain.encode()):08x}"


def _where(database: Database) -> dict[str, str]:
    """As seen from the network of the matrix."""
    return {
        "host": "db",
        "port": "5432",
        "user": database.user,
        "password": database.password,
        "database": database.name,
    }


Told = Callable[[str], None]
