"""A replica's stdout, from lines to records. It holds other text too: that is no fault of it."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.json import Decoder

from lab.proof.ids import NONE, Ids
from lab.proof.records import AppLog, Int, SqlError
from lab.proof.rows import Row, Rows, Unusable, number, some_text, text
from lab.proof.visit_columns import Visits


class _BeginLine(Struct, gc=False, tag_field="e", tag="begin"):
    id: str
    attempt: Int
    t: Int


class _EndLine(Struct, gc=False, tag_field="e", tag="end"):
    id: str
    attempt: Int
    t: Int


_usual = Decoder(_BeginLine | _EndLine).decode


def read_app(replica: str, lines: Iterable[bytes], ids: Ids | None = None) -> AppLog:
    """`ids`: of the other ledgers of the run, to be joined with it."""
    rows = Rows(lines)
    reading = _App(replica, rows, Ids() if ids is None else ids)
    foreign = 0
    for row in rows.each(_usual):
        try:
            reading.take(row)
        except Unusable:
            foreign += 1
    return AppLog(
        replica=replica,
        version=reading.version,
        visits=reading.visits,
        errors=reading.errors,
        exited=reading.exited,
        foreign=foreign + rows.skipped,
        reading=rows.reading(),
    )


class _App:
    def __init__(self, replica: str, rows: Rows, ids: Ids) -> None:
        self.rows = rows
        self.ids = ids
        self.version: str | None = None
        self.errors: dict[str, SqlError] = {}
        self.exited = False
        self.pending: dict[tuple[str, int], int] = {}
        self.visits = Visits(replica, ids)

    def take(self, row: _BeginLine | _EndLine | Row) -> None:
        if isinstance(row, _BeginLine):
            self._begin(row.id, row.attempt, row.t)
        elif isinstance(row, _EndLine):
            self._end(row.id, row.attempt, row.t)
        else:
            self._other(row)

    def _other(self, row: Row) -> None:
        kind = row["e"]
        if kind == "begin":
            self._begin(text(row, "id"), number(row, "attempt"), number(row, "t"))
        elif kind == "end":
            self._end(text(row, "id"), number(row, "attempt"), number(row, "t"))
        elif kind == "error":
            self.errors[text(row, "id")] = SqlError(
                code=text(row, "code"), message=text(row, "message"), statement=some_text(row, "statement") or ""
            )
        elif kind == "start":
            self.version = some_text(row, "version") or self.version
        elif kind == "exit":
            self.exited = True

    def _begin(self, request: str, attempt: int, begun: int) -> None:
        place = self.visits.begin(self.ids.row(request), attempt, begun)
        if place == NONE:
            self.rows.duplicates += 1
        else:
            self.pending[request, attempt] = place

    def _end(self, request: str, attempt: int, ended: int) -> None:
        place = self.pending.pop((request, attempt), None)
        if place is None:
            self.rows.duplicates += 1
        else:
            self.visits.end(place, ended)
