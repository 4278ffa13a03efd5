"""A replica's stdout, from lines to records. It holds other text too: that is no fault of it."""

from collections.abc import Iterable

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
        self.pending: dict[tuple[str, int], int] = {}
        self.closed: dict[str, tuple[Visit, ...]] = {}

    def take(self, row: Row) -> None:
        kind = row["e"]
        if kind == "begin":
            self._begin(text(row, "id"), row)
        elif kind == "end":
            self._end(text(row, "id"), row)
        elif kind == "error":
            self.errors[text(row, "id")] = SqlError(
                code=text(row, "code"), message=text(row, "message"), statement=some_text(row, "statement") or ""
            )
        elif kind == "start":
            self.version = some_text(row, "version") or self.version
        elif kind == "exit":
            self.exited = True

    def visits(self) -> dict[str, tuple[Visit, ...]]:
        for (request, attempt), begun in self.pending.items():
            self._keep(request, attempt, begun, None)
        return self.closed

    def _begin(self, request: str, row: Row) -> None:
        attempt, begun = number(row, "attempt"), number(row, "t")
        key = (request, attempt)
        before = self.pending.get(key)
        known = self.closed.get(request)
        if before == begun or (known and any((visit.attempt, visit.begun) == (attempt, begun) for visit in known)):
            self.rows.duplicates += 1
            return
        if before is not None:
            self._keep(request, attempt, before, None)
        self.pending[key] = begun

    def _end(self, request: str, row: Row) -> None:
        attempt, ended = number(row, "attempt"), number(row, "t")
        begun = self.pending.pop((request, attempt), None)
        if begun is None:
            self.rows.duplicates += 1
        else:
            self._keep(request, attempt, begun, ended)

    def _keep(self, request: str, attempt: int, begun: int, ended: int | None) -> None:
        visit = Visit(replica=self.replica, attempt=attempt, begun=begun, ended=ended)
        self.closed[request] = (*self.closed.get(request, ()), visit)
