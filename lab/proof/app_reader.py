"""A replica's stdout, from lines to records. It holds other text too: that is no fault of it."""

from collections.abc import Iterable
from dataclasses import replace

from lab.proof.records import AppLog, SqlError, Visit
from lab.proof.rows import Row, Rows, Unusable, number, some_text, text


def read_app(replica: str, lines: Iterable[bytes]) -> AppLog:
    rows = Rows(lines)
    reading = _App(replica, rows)
    foreign = 0
    for row in rows:
        try:
            reading.take(row)
        except Unusable:
            foreign += 1
    return AppLog(
        replica=replica,
        version=reading.version,
        visits=reading.visits(),
        errors=reading.errors,
        exited=reading.exited,
        foreign=foreign + rows.skipped,
        reading=rows.reading(),
    )


class _App:
    def __init__(self, replica: str, rows: Rows) -> None:
        self.replica = replica
        self.rows = rows
        self.version: str | None = None
        self.errors: dict[str, SqlError] = {}
        self.exited = False
        self.pending: dict[tuple[str, int], Visit] = {}
        self.closed: dict[str, list[Visit]] = {}

    def take(self, row: Row) -> None:
        kind = row["e"]
        if kind == "begin":
            self._begin(text(row, "id"), row)
        elif kind == "end":
            self._end(text(row, "id"), row)
        elif kind == "error":
            self.errors[text(row, "id")] = SqlError(code=text(row, "code"), message=text(row, "message"))
        elif kind == "start":
            self.version = some_text(row, "version") or self.version
        elif kind == "exit":
            self.exited = True

    def visits(self) -> dict[str, tuple[Visit, ...]]:
        for (request, _), visit in self.pending.items():
            self.closed.setdefault(request, []).append(visit)
        return {request: tuple(found) for request, found in self.closed.items()}

    def _begin(self, request: str, row: Row) -> None:
        visit = Visit(replica=self.replica, attempt=number(row, "attempt"), begun=number(row, "t"), ended=None)
        key = (request, visit.attempt)
        other = self.pending.get(key)
        if other == visit or any(_same_begin(known, visit) for known in self.closed.get(request, ())):
            self.rows.duplicates += 1
            return
        if other is not None:
            self.closed.setdefault(request, []).append(other)
        self.pending[key] = visit

    def _end(self, request: str, row: Row) -> None:
        ended = number(row, "t")
        visit = self.pending.pop((request, number(row, "attempt")), None)
        if visit is None:
            self.rows.duplicates += 1
            return
        self.closed.setdefault(request, []).append(replace(visit, ended=ended))


def _same_begin(known: Visit, visit: Visit) -> bool:
    return known.attempt == visit.attempt and known.begun == visit.begun
