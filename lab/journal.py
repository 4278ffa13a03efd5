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
from typing import Any

from lab.errors import LabError
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
        if version != SCHEMA_VERSION:
            self._db.execute(f"pragma user_version={SCHEMA_VERSION}")

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        wall = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = (run, type, t_ns, wall, json.dumps(data, separators=(",", ":")))
        try:
            with self._lock:
                seq = self._db.execute("insert into events(run,type,t_ns,wall,data) values (?,?,?,?,?)", row).lastrowid
        except sqlite3.Error as error:
            raise LabError(
                id="journal-write",
                what=f"the journal cannot be written: {error}",
                where=str(self._path),
                fix="make room on the disk; then run the same command again",
            ) from error
        return Event(seq=seq or 0, type=type, run=run, t_ns=t_ns, wall=wall, data=json.loads(row[4]))

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        with (
            _told(self._path),
            self._lock,
            closing(self._db.execute("select seq,run,type,t_ns,wall,data from events order by seq")) as rows,
        ):
            return [
                Event(seq=seq, run=r, type=kind, t_ns=t_ns, wall=wall, data=json.loads(data))
                for seq, r, kind, t_ns, wall, data in rows
                if (run is None or r == run) and (not types or kind in types)
            ]

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
            fix="make the file yours, and end what holds it; then run the same command again",
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
