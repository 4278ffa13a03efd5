"""The journal: append-only events in SQLite, each on disk before `append` returns."""

import itertools
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from lab.errors import JournalError, LabError
from lab.ports import Event

SCHEMA_VERSION = 1
_CREATE = """
create table if not exists events (
    seq integer primary key autoincrement,
    run text not null,
    type text not null,
    t_ns integer not null,
    wall text not null,
    data text not null
)
"""
_WORDS = """
create table if not exists asked (
    number integer primary key autoincrement,
    run text not null,
    command text not null,
    replicas integer,
    "to" integer,
    wall text not null
)
"""


class SqliteJournal:
    """One file per project. A garbled file is refused, never replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            with _told(path):
                self._prepare()
        except LabError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        version = self._db.execute("pragma user_version").fetchone()[0]
        if version not in {0, SCHEMA_VERSION}:
            raise _unreadable(self._path, f"it has format {version}, this lab reads {SCHEMA_VERSION}")
        self._db.execute("pragma journal_mode=wal")
        self._db.execute("pragma synchronous=full")
        self._db.execute(_CREATE)
        self._db.execute(_WORDS)
        self._version = self._data_version()
        if version != SCHEMA_VERSION:
            self._db.execute(f"pragma user_version={SCHEMA_VERSION}")

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        wall = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = (run, type, t_ns, wall, json.dumps(data, separators=(",", ":")))
        seq = self.write("insert into events(run,type,t_ns,wall,data) values (?,?,?,?,?)", row)
        return Event(seq=seq, type=type, run=run, t_ns=t_ns, wall=wall, data=json.loads(row[4]))

    def events(self, *, run: str | None = None, types: Sequence[str] = (), after: int = 0) -> list[Event]:
        """Oldest first; `after`: only those with a higher number."""
        sql = "select seq,run,type,t_ns,wall,data from events where seq > ? and (? is null or run = ?) order by seq"
        rows = self.read(sql, (after, run, run))
        with _told(self._path):
            return [
                Event(seq=seq, run=r, type=kind, t_ns=t_ns, wall=wall, data=json.loads(data))
                for seq, r, kind, t_ns, wall, data in rows
                if not types or kind in types
            ]

    def last(self) -> int:
        """The highest number there is."""
        return int(self.read("select coalesce(max(seq), 0) from events")[0][0])

    def moved(self) -> bool:
        """Whether another connection has written since this was last asked; costs no look at the disk."""
        with _told(self._path), self._lock:
            before, self._version = self._version, self._data_version()
            return before != self._version

    def read(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with _told(self._path), self._lock, closing(self._db.execute(sql, values)) as rows:
            return rows.fetchall()

    def write(self, sql: str, values: Sequence[object] = ()) -> int:
        """Return the number of the row that was written last."""
        try:
            with self._lock:
                return self._db.execute(sql, values).lastrowid or 0
        except sqlite3.Error as error:
            raise JournalError(
                id="journal-write",
                what=f"the journal cannot be written, so nothing more is done: {error}",
                where=str(self._path),
                fix="make room on its disk; lab resume then goes on with a rollout that had begun",
            ) from error

    def _data_version(self) -> int:
        return cast("int", self._db.execute("pragma data_version").fetchone()[0])

    def close(self) -> None:
        self._db.close()


def set_aside(path: Path) -> Path:
    """Move an unreadable journal, and what SQLite keeps beside it, out of the way of a new one."""
    tried = (path.with_name(f"{path.name}.unreadable-{n}") for n in itertools.count(1))
    aside = next(candidate for candidate in tried if not candidate.exists())
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A file that is locked or not ours is no garbled file: only that one may be put aside."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise LabError(
            id="journal-open",
            what=f"the journal cannot be opened: {error}",
            where=str(path),
            fix="make the file yours, end what holds it, and make room on its disk; then run the same command again",
        ) from error
    except (sqlite3.DatabaseError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> LabError:
    return LabError(
        id="journal-unreadable",
        what=f"the journal cannot be read: {why}",
        where=str(path),
        fix="lab down, which keeps the file aside and starts a new one",
    )
