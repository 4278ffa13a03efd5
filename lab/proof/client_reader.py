"""The client's ledger, from lines to records. A request with no end stays open."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from msgspec.json import Decoder

from lab.proof.client_columns import ClientColumns
from lab.proof.ids import NONE, Ids
from lab.proof.records import ClientEnd, ClientFooter, ClientLedger, ClientOutcome, Fault, Header, Mixed, Offer
from lab.proof.rows import Row, Rows, Unusable, header, number, some_number, some_text, text

FAULTS = {fault.value: fault for fault in Fault}
OUTCOMES = {outcome.value: outcome for outcome in ClientOutcome}


class _OfferLine(Offer, frozen=True, kw_only=True, gc=False, tag_field="e", tag="offer"):
    id: str


class _EndLine(ClientEnd, frozen=True, kw_only=True, gc=False, tag_field="e", tag="end"):
    id: str
    writer: str | None = None
    fault: Fault | None = None
    field: str | None = None


_usual = Decoder(_OfferLine | _EndLine).decode


def read_client(lines: Iterable[bytes], ids: Ids | None = None) -> ClientLedger:
    """`ids`: of the other ledgers of the run, to be joined with it."""
    rows = Rows(lines)
    reading = _Client(rows, Ids() if ids is None else ids)
    take = reading.take
    for row in rows.each(_usual):
        try:
            take[type(row)](row)
        except Unusable:
            rows.skipped += 1
    return ClientLedger(
        header=reading.header,
        ids=reading.ids,
        requests=reading.requests,
        footer=reading.footer,
        reading=rows.reading(),
    )


class _Client:
    def __init__(self, rows: Rows, ids: Ids) -> None:
        self.rows = rows
        self.ids = ids
        self.header: Header | None = None
        self.requests = ClientColumns(ids)
        self.open: dict[str, int] = {}
        self.footer: ClientFooter | None = None
        self.take: dict[type, Callable[[Any], None]] = {
            _OfferLine: self._offer,
            _EndLine: self._end,
            dict: self._other,
        }

    def _other(self, row: Row) -> None:
        kind = row["e"]
        if kind == "offer":
            self._offer(_offer(row))
        elif kind == "end":
            self._end(_end(row))
        elif kind == "header":
            self.header = header(row)
        elif kind == "footer":
            self.footer = _footer(row)

    def _offer(self, line: _OfferLine) -> None:
        row = self.ids.row(line.id)
        self.open[line.id] = row
        if not self.requests.offer(row, line):
            known = self.requests.offer_at(row)
            self._again(same=known is not None and _told(known) == _told(line))

    def _end(self, line: _EndLine) -> None:
        row = self.open.pop(line.id, NONE)
        if row == NONE:
            row = self.ids.row(line.id)
        known = self.requests.end_at(row) if self.requests.ended(row) else None
        self.requests.end(row, line, _mixed(line))
        if known is None:
            return
        self._again(same=self.requests.end_at(row) == known)
        if known.outcome is not ClientOutcome.OK:  # of two stories, the one that is a drop must not be lost
            self.requests.end(row, known, known.mixed)

    def _again(self, *, same: bool) -> None:
        if same:
            self.rows.duplicates += 1
        else:
            self.rows.conflicts += 1


def _told(offer: Offer) -> tuple[str, str, str, int, int]:
    return offer.cohort, offer.method, offer.path, offer.due, offer.t


def _offer(row: Row) -> _OfferLine:
    return _OfferLine(
        id=text(row, "id"),
        cohort=text(row, "cohort"),
        method=text(row, "method"),
        path=text(row, "path"),
        due=number(row, "due"),
        t=number(row, "t"),
    )


def _end(row: Row) -> _EndLine:
    """What may be missing may also be of another kind than it should be."""
    return _EndLine(
        id=text(row, "id"),
        t=number(row, "t"),
        outcome=OUTCOMES[row["outcome"]],
        status=some_number(row, "status"),
        version=some_text(row, "version"),
        replica=some_text(row, "replica"),
        reason=some_text(row, "reason"),
        error=some_text(row, "error"),
        detail=some_text(row, "detail"),
        ack=some_number(row, "ack"),
        writer=some_text(row, "writer"),
        fault=FAULTS[fault] if (fault := some_text(row, "fault")) else None,
        field=some_text(row, "field"),
    )


def _mixed(line: _EndLine) -> Mixed | None:
    if line.writer is None and line.fault is None:
        return None
    return _same_mixed(line.writer or None, line.fault, line.field or None)


@lru_cache(maxsize=1000)
def _same_mixed(writer: str | None, fault: Fault | None, field: str | None) -> Mixed:
    """A few records for a million lines."""
    return Mixed(writer=writer, fault=fault, field=field)


def _footer(row: Row) -> ClientFooter:
    return ClientFooter(
        t=number(row, "t"),
        offered=number(row, "offered"),
        not_sent=number(row, "not_sent"),
        lag_p99_ms=float(row["lag_p99_ms"]),
        complete=row["complete"] is True,
    )
