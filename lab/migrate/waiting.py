"""Waiting for locks: how long for which, how often again, and who is in the way meanwhile."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TypeVar

from lab.database import Database, Session, SqlError
from lab.errors import LabError
from lab.migrate.sql import Locks, Statement, Unit
from lab.migrate.state import RUN_LOCK

T = TypeVar("T")
Told = Callable[[str, str], None]
"""Progress: (phase, what)."""

LOOK_SECONDS = 0.1
REPEAT_SECONDS = 5.0
RUN_LOCK_SECONDS = 15.0
_BLOCKERS = """
select a.pid, coalesce(nullif(a.application_name, ''), 'unnamed'), a.state,
       extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.query_start, a.backend_start)), a.query
from pg_stat_activity a where a.pid = any(pg_blocking_pids(%s)) order by a.pid
"""
_HOLDER = """
select a.pid, a.application_name from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.classid = %s and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """`lock`: how long one try may make others wait behind it; 0: as long as `statement`. All in seconds."""

    lock: float
    statement: float
    tries: int
    deadline: float


PATIENCE = {
    Locks.BRIEF: Patience(lock=0.2, statement=60.0, tries=50, deadline=60.0),
    Locks.PATIENT: Patience(lock=0.0, statement=1800.0, tries=3, deadline=3600.0),
    Locks.ROWS: Patience(lock=1.0, statement=60.0, tries=50, deadline=120.0),
}


class Witness:
    """Looks at each transaction, and each statement in it. This one looks at nothing."""

    def unit(self, _session: Session, _unit: Unit) -> AbstractContextManager[None]:
        return nullcontext()

    def statement(self, _session: Session, _statement: Statement) -> AbstractContextManager[None]:
        return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a run behaves towards the world: what it tells, how it pauses, how it waits."""

    told: Told = field(default=lambda _phase, _what: None)
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[float, float], float] = random.uniform
    patience: dict[Locks, Patience] = field(default_factory=lambda: dict(PATIENCE))
    witness: Witness = field(default_factory=Witness)

    def telling(self, told: Told) -> "Manner":
        return replace(self, told=told)


@contextmanager
def run_lock(database: Database, manner: Manner) -> Iterator[Session]:
    """The one who changes the schema. A run that was just killed holds it until the server has noticed."""
    with database.session("lab migrate") as session:
        deadline = time.monotonic() + RUN_LOCK_SECONDS
        waited = False
        while not session.run("select pg_try_advisory_lock(%s, 0)", (RUN_LOCK,))[0][0]:
            holders = session.run(_HOLDER, (RUN_LOCK,))
            who = ", ".join(f"{application} (database session {pid})" for pid, application in holders) or "somebody"
            if time.monotonic() > deadline:
                raise LabError(
                    id="migration-runs",
                    what=f"the schema is being changed by {who}",
                    where=database.where,
                    fix="wait for it to end; lab migrate status shows how far it is",
                )
            if not waited:
                manner.told("waiting", f"for {who}, which is changing the schema")
            waited = True
            manner.sleep(0.1)
        yield session


def insist(
    attempt: Callable[[Patience], T], *, locks: Locks, phase: str, database: Database, session: Session, manner: Manner
) -> T:
    """Try until the locks are had. LabError `schema-busy` names who would not give way."""
    patience = manner.patience[locks]
    deadline = time.monotonic() + patience.deadline
    watch = _Watch(database, session.pid, lambda what: manner.told(phase, what))
    tries = 0
    while True:
        tries += 1
        try:
            with watch.looking():
                return attempt(patience)
        except SqlError as error:
            if not error.busy:
                raise
            if tries >= patience.tries or time.monotonic() > deadline:
                raise LabError(
                    id="schema-busy",
                    what=f"{error.what}; tried {tries} times",
                    where="\n".join(watch.last) or error.where,
                    fix="end what holds the lock, then run the same command again: it goes on from here",
                ) from error
        longest = min(0.05 * 2 ** min(tries, 5), 1.0)
        manner.sleep(manner.spread(longest / 2, longest))


class _Watch:
    """Looks, on a connection of its own, who keeps a session waiting; nothing is opened for one that does not wait."""

    def __init__(self, database: Database, pid: int, tell: Callable[[str], None]) -> None:
        self._database = database
        self._pid = pid
        self._tell = tell
        self._told: dict[int, float] = {}
        self.last: tuple[str, ...] = ()

    @contextmanager
    def looking(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._look, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _look(self, over: threading.Event) -> None:
        if over.wait(LOOK_SECONDS):
            return
        try:
            with self._database.session("lab migrate: who blocks") as session:
                while True:
                    self._report(session)
                    if over.wait(LOOK_SECONDS):
                        return
        except LabError:  # only the look failed; the statement has its own deadline
            return

    def _report(self, session: Session) -> None:
        rows = session.run(_BLOCKERS, (self._pid,))
        if not rows:
            return
        self.last = tuple(_blocker(row) for row in rows)
        now = time.monotonic()
        for row, line in zip(rows, self.last, strict=True):
            if now - self._told.get(row[0], -REPEAT_SECONDS) >= REPEAT_SECONDS:
                self._told[row[0]] = now
                self._tell(f"waits for {line}")


def _blocker(row: tuple[int, str, str | None, float, str | None]) -> str:
    pid, application, state, age, query = row
    text = " ".join((query or "").split())[:100]
    return f"pid {pid} ({application}), {state or 'busy'}, {float(age or 0):.1f} s: {text}"
