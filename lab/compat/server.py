"""The scratch server: a database for each phase, made by the real runner, and the log of what was run in each."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.compat.statements import Logged, read_log
from lab.database import Database, Session, SqlError
from lab.errors import LabError
from lab.migrate.plan import ChangePlan, Phase
from lab.migrate.runner import step_up
from lab.migrate.waiting import Manner

LOG_SECONDS = 5.0
QUIET_SECONDS = 5.0
DISK_FULL = "53100"
_OFFSET = "select size from pg_stat_file(pg_current_logfile('csvlog'))"
_READ = "select pg_read_file(pg_current_logfile('csvlog'), %s, %s)"
_OTHERS = "select count(*) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"


@dataclass(slots=True, kw_only=True)
class Server:
    """`phases`: phase -> the name of its database, which nobody uses: others are copies of it."""

    database: Database
    plan: ChangePlan
    phases: dict[str, str] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def create(self, name: str, template: str) -> Database:
        """A database of that name, a copy of another; whoever still uses the other is waited for a while."""
        with self.database.session("lab compat") as session:
            if template != self.database.name:
                self._quiet(session, template)
            try:
                session.run(f'create database "{name}" template "{template}"')
            except SqlError as error:
                _refuse_full(error)
                raise
        return self.database.called(name)

    def clone(self, phase: str, name: str) -> Database:
        """A copy of a phase for one cell. No version is gone on it: what happens then is what the cell is to show."""
        made = self.create(name, self.phases[phase])
        with made.session("lab compat") as session:
            if session.run("select to_regclass('lab_gone') is not null")[0][0]:
                session.run("delete from lab_gone")
        return made

    def at(self, phase: str) -> Database:
        """The phase itself; nothing may be written into it."""
        return self.database.called(self.phases[phase])

    def build(
        self, phases: tuple[Phase, ...], *, seed: Callable[[Phase, Database], None], manner: Manner
    ) -> tuple[str, LabError] | None:
        """Every phase, each a copy of the one before with its step taken. `seed` may write rows into the first.

        Returns the phase to which no step leads, and why; none of those after it is there either.
        """
        before = self.database.name  # with what the image's own scripts have put there
        for phase in phases:
            name = f"phase_{len(self.phases)}"
            made = self.create(name, before)
            try:
                step_up(made, self.plan, phase, manner=manner)
            except LabError as error:
                _refuse_full(error)
                return phase.name, error
            if not self.phases:
                seed(phase, made)
            self.phases[phase.name] = name
            before = name
        return None

    def _quiet(self, session: Session, name: str) -> None:
        deadline = time.monotonic() + QUIET_SECONDS
        while session.run(_OTHERS, (name,))[0][0]:
            if time.monotonic() > deadline:
                session.run("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            time.sleep(0.02)

    # the log

    def mark(self) -> int:
        """A place in the log: what comes after it was logged later."""
        return int(self.database.query(_OFFSET)[0][0])

    def since(self, place: int) -> tuple[Logged, ...]:
        """What was logged from there to now, whole: the log's writer is waited for."""
        mark = f"lab-mark-{next(self._numbers)}"
        text, deadline = "", time.monotonic() + LOG_SECONDS
        with self.database.session("lab compat") as session:
            session.run(f"select '{mark}'")
            while f"'{mark}'" not in text:
                size = int(session.run(_OFFSET)[0][0])
                text = str(session.run(_READ, (place, size - place))[0][0]) if size > place else ""
                if time.monotonic() > deadline:
                    raise LabError(
                        id="compat-log", what="the database's log does not come", where=self.database.where, fix=""
                    )
                if f"'{mark}'" not in text:
                    time.sleep(0.01)
        whole = text.rfind(f"'{mark}'")
        return tuple(read_log(text[: text.rfind("\n", 0, whole) + 1]))


def _refuse_full(error: LabError) -> None:
    """That there is no room says nothing of a step."""
    if isinstance(error, SqlError) and error.sqlstate == DISK_FULL:
        raise LabError(
            id="compat-space",
            what="the phases and their copies do not fit into what the matrix's database server has",
            where=error.what,
            fix="x-lab.compat.memory in the manifest: so many MiB, or 0 for the disk, which is slower",
        ) from error


def in_database(logged: tuple[Logged, ...], name: str) -> tuple[Logged, ...]:
    return tuple(entry for entry in logged if entry.database == name)
