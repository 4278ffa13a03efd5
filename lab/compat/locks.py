"""A slow reader of every table while a step is taken, and a look at who waits for whom. What it means: stalls.py."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from lab.compat.model import Failure
from lab.compat.stalls import ALONE_SECONDS, Behind, Queue, Wait, Work, held_up, large
from lab.database import Database, Session
from lab.errors import LabError
from lab.migrate.sql import Statement, Unit
from lab.migrate.waiting import Witness

LOOK_SECONDS = 0.02
READY_SECONDS = 10.0
_TABLES = """
select format('%I.%I', schemaname, relname) from pg_stat_user_tables
where relname not in ('lab_schema', 'lab_schema_step', 'lab_gone') order by 1
"""
_WAITS = """
select l.pid, l.waitstart::text, extract(epoch from clock_timestamp() - l.waitstart), a.query
from pg_locks l join pg_stat_activity a using (pid)
where not l.granted and %s = any(pg_blocking_pids(l.pid)) and a.datname = current_database()
  and coalesce(host(a.client_addr), '') <> all(%s)
order by 3 desc nulls last limit 1
"""
_BEHIND = """
select host(client_addr), query from pg_stat_activity
where datname = current_database() and host(client_addr) = any(%s) and %s = any(pg_blocking_pids(pid)) order by pid
"""
_WORK = """
select format('%I.%I', s.schemaname, s.relname), coalesce(s.seq_tup_read, 0), s.n_tup_upd + s.n_tup_del,
       array(select l.mode from pg_locks l where l.pid = pg_backend_pid() and l.relation = s.relid and l.granted)
from pg_stat_xact_user_tables s
"""


@dataclass(slots=True, kw_only=True)
class LockWatch(Witness):
    """`traffic`: where the database sees a version come from -> that version. `found`: whom the step made wait."""

    database: Database
    traffic: Mapping[str, str]
    found: list[Failure] = field(default_factory=list)
    _rows: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def unit(self, session: Session, unit: Unit) -> Iterator[None]:  # noqa: ARG002
        self._rows = {table: int(session.run(f"select count(*) from {table}")[0][0]) for table in _tables(session)}  # noqa: S608
        with self.reading():
            yield

    @contextmanager
    def statement(self, session: Session, statement: Statement) -> Iterator[None]:
        before = _work(session)
        yield
        for one in large(statement.text, self._rows, before, _work(session)):
            self.found += held_up(one, statement.text, self._wait_for_somebody(session.pid))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Somebody reads all tables, as a report or a dump does: until the step gave way, or was seen not to."""
        begun, over, queue = threading.Event(), threading.Event(), Queue()
        reader = threading.Thread(target=self._read, args=(begun, over, queue), daemon=True)
        reader.start()
        begun.wait(READY_SECONDS)
        try:
            yield
        finally:
            over.set()
            reader.join()
            self.found += queue.failures()

    def _read(self, begun: threading.Event, over: threading.Event, queue: Queue) -> None:
        with suppress(LabError), self.database.session("slow report") as reader, reader.transaction():
            if tables := _tables(reader):
                reader.run(f"lock table {', '.join(tables)} in access share mode")
            with self.database.session("lab compat: locks") as looker:
                begun.set()
                while not over.wait(LOOK_SECONDS) and not queue.saw(*self._look(looker, reader.pid)):
                    pass
        begun.set()

    def _look(self, looker: Session, reader: int) -> tuple[Wait | None, list[Behind]]:
        rows = looker.run(_WAITS, (reader, list(self.traffic)))
        if not rows:
            return None, []
        pid, since, seconds, sql = rows[0]
        wait = Wait(attempt=(int(pid), str(since)), seconds=float(seconds or 0), sql=str(sql))
        return wait, self._behind(looker, int(pid))

    def _behind(self, looker: Session, pid: int) -> list[Behind]:
        rows = looker.run(_BEHIND, (list(self.traffic), pid))
        return [Behind(version=self.traffic[str(address)], sql=str(sql)) for address, sql in rows]

    def _wait_for_somebody(self, pid: int) -> list[Behind]:
        """The step keeps what it holds until somebody was seen to wait for it, as on a large table somebody would."""
        deadline = time.monotonic() + ALONE_SECONDS
        with self.database.session("lab compat: locks") as looker:
            while True:
                behind = self._behind(looker, pid)
                if behind or time.monotonic() > deadline:
                    return behind
                time.sleep(LOOK_SECONDS)


def _tables(session: Session) -> list[str]:
    return [str(row[0]) for row in session.run(_TABLES)]


def _work(session: Session) -> dict[str, Work]:
    """Of the session's transaction; its own counts only grow."""
    return {
        str(table): Work(read=int(read), written=int(written), modes=frozenset(map(str, modes)))
        for table, read, written, modes in session.run(_WORK)
    }
