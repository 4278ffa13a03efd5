"""The journal: append-only events in SQLite, each on disk before `append` returns."""

import json
import os
import sqlite3
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
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
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("pragma synchronous=full")
            self._db.execute(_CREATE)
            version = self._db.execute("pragma user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise _unreadable(path, str(error)) from error
        if version not in {0, SCHEMA_VERSION}:
            self._db.close()
            raise _unreadable(path, f"it has format {version}, this lab reads {SCHEMA_VERSION}")
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
        try:
            with (
                self._lock,
                closing(self._db.execute("select seq,run,type,t_ns,wall,data from events order by seq")) as rows,
            ):
                found = [
                    Event(seq=seq, run=r, type=kind, t_ns=t_ns, wall=wall, data=json.loads(data))
                    for seq, r, kind, t_ns, wall, data in rows
                    if (run is None or r == run) and (not types or kind in types)
                ]
        except (sqlite3.DatabaseError, ValueError) as error:
            raise _unreadable(self._path, str(error)) from error
        return found

    def close(self) -> None:
        self._db.close()


def _unreadable(path: Path, why: str) -> LabError:
    return LabError(
        id="journal-unreadable",
        what=f"the journal cannot be read: {why}",
        where=str(path),
        fix="lab down, which keeps the file aside and starts a new one",
    )
