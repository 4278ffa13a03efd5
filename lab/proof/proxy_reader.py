"""The proxy's ledger, from lines to records. An attempt with no end stays open."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.json import Decoder

from lab.proof.attempt_columns import AttemptColumns
from lab.proof.ids import Ids
from lab.proof.records import Attempt, AttemptResult, Header, Int, ProxyLedger, Reject, Restart
from lab.proof.rows import Row, Rows, Unusable, header, number, some_number, text

RESULTS = {result.value: result for result in AttemptResult}


class _BeginLine(Struct, kw_only=True, gc=False, tag_field="e", tag="begin"):
    id: str
    attempt: Int
    replica: str
    t: Int


class _EndLine(Struct, kw_only=True, gc=False, tag_field="e", tag="end"):
    id: str
    attempt: Int
    result: AttemptResult
    t: Int
    bytes_up: Int | None = None


class _WholeLine(_BeginLine, kw_only=True, gc=False, tag_field="e", tag="attempt"):
    """One that was over before its begin was written."""

    result: AttemptResult
    t_end: Int
    bytes_up: Int | None = None


_usual = Decoder(_BeginLine | _EndLine | _WholeLine).decode


def read_proxy(lines: Iterable[bytes], ids: Ids | None = None) -> ProxyLedger:
    """`ids`: of the other ledgers of the run, to be joined with it."""
    rows = Rows(lines)
    reading = _Proxy(rows, Ids() if ids is None else ids)
    for row in rows.each(_usual):
        try:
            reading.take(row)
        except Unusable:
            rows.skipped += 1
    return ProxyLedger(
        header=reading.header,
        attempts=reading.attempts().view,
        rejects={request: tuple(found) for request, found in reading.rejects.items()},
        begins=reading.begins,
        footer_attempts=reading.footer_attempts,
        lost=sum(lines for _, lines in reading.lost),
        restarts=tuple(reading.restarts),
        reading=rows.reading(),
        cuts=reading.cuts,
    )


class _Proxy:
    def __init__(self, rows: Rows, ids: Ids) -> None:
        self.rows = rows
        self.ids = ids
        self.header: Header | None = None
        self.pending: dict[tuple[int, int], tuple[str, int]] = {}
        self.closed = AttemptColumns(ids)
        self.rejects: dict[str, list[Reject]] = {}
        self.begins = 0
        self.footer_attempts: int | None = None
        self.lost: set[tuple[int, int]] = set()
        self.restarts: list[Restart] = []
        self.begun_until = self.seen_until = 0
        self.cuts = False
        self.others = {
            "attempt": self._attempt,
            "begin": self._begin,
            "end": self._end,
            "reject": self._reject,
            "header": self._header,
            "footer": self._footer,
            "lost": self._lost,
            "restarted": self._restarted,
            "cut-switch": self._cut_switch,
        }

    def take(self, row: _BeginLine | _EndLine | _WholeLine | Row) -> None:
        if isinstance(row, _WholeLine):
            seen = row.t_end
            self._whole(row)
        elif isinstance(row, _BeginLine):
            seen = row.t
            self._begun(self.ids.row(row.id), row.attempt, row.replica, row.t)
        elif isinstance(row, _EndLine):
            seen = row.t
            self._ended(self.ids.row(row.id), row.attempt, row.result, row.bytes_up)
        else:
            self._other(row)
            return
        self.footer_attempts = None  # the proxy came back and went on: that footer was not the last word
        self.seen_until = max(self.seen_until, seen)

    def attempts(self) -> AttemptColumns:
        for (row, attempt), (replica, begun) in self.pending.items():
            self.closed.keep(row, _open(attempt, replica, begun))
        return self.closed

    # what most lines are

    def _whole(self, line: _WholeLine) -> None:
        row = self.ids.row(line.id)
        if (row, line.attempt) in self.pending or self.closed.knows(row, line.attempt, line.t):
            if self._begun(row, line.attempt, line.replica, line.t):
                self._ended(row, line.attempt, line.result, line.bytes_up)
            return
        self.begins += 1
        self.begun_until = max(self.begun_until, line.t)
        up = line.bytes_up
        kept = Attempt(number=line.attempt, replica=line.replica, begun=line.t, result=line.result, bytes_up=up)
        self.closed.keep(row, kept)

    def _begun(self, row: int, attempt: int, replica: str, begun: int) -> bool:
        """Whether it was new."""
        key = (row, attempt)
        before = self.pending.get(key)
        if before == (replica, begun) or self.closed.knows(row, attempt, begun):
            self.rows.duplicates += 1
            return False
        self.begins += 1
        self.begun_until = max(self.begun_until, begun)
        if before is not None:  # the same id sent twice by the client: two attempts, not one
            self.closed.keep(row, _open(attempt, *before))
        self.pending[key] = (replica, begun)
        return True

    def _ended(self, row: int, attempt: int, result: AttemptResult, up: int | None) -> None:
        begin = self.pending.pop((row, attempt), None)
        if begin is None:
            self.rows.duplicates += 1
            return
        replica, begun = begin
        self.closed.keep(row, Attempt(number=attempt, replica=replica, begun=begun, result=result, bytes_up=up))

    # the others, and what of the usual ones is not as it should be

    def _other(self, row: Row) -> None:
        kind = row["e"]
        if kind not in self.others:
            return
        self.others[kind](row)
        if kind not in {"header", "footer"}:
            self.footer_attempts = None
        self.seen_until = max(self.seen_until, some_number(row, "t") or 0, some_number(row, "t_end") or 0)

    def _attempt(self, row: Row) -> None:
        duplicates = self.rows.duplicates
        self._begin(row)
        if self.rows.duplicates == duplicates:
            self._end(row)

    def _begin(self, row: Row) -> None:
        request = self.ids.row(text(row, "id"))
        self._begun(request, number(row, "attempt"), text(row, "replica"), number(row, "t"))

    def _end(self, row: Row) -> None:
        request = self.ids.row(text(row, "id"))
        self._ended(request, number(row, "attempt"), RESULTS[row["result"]], some_number(row, "bytes_up"))

    def _reject(self, row: Row) -> None:
        reject = Reject(reason=text(row, "reason"), status=number(row, "status"), t=number(row, "t"))
        known = self.rejects.setdefault(text(row, "id"), [])
        if reject in known:
            self.rows.duplicates += 1
        else:
            known.append(reject)

    def _header(self, row: Row) -> None:
        self.header = header(row)

    def _footer(self, row: Row) -> None:
        self.footer_attempts = number(row, "attempts")

    def _lost(self, row: Row) -> None:
        told = (number(row, "t"), number(row, "lines"))
        self.rows.duplicates += told in self.lost
        self.lost.add(told)

    def _cut_switch(self, _row: Row) -> None:
        self.cuts = True

    def _restarted(self, row: Row) -> None:
        t = number(row, "t")
        if any(restart.t == t for restart in self.restarts):
            self.rows.duplicates += 1
        else:
            begun, seen = min(self.begun_until, t), min(self.seen_until, t)
            self.restarts.append(Restart(begun_until=begun, seen_until=seen, t=t))


def _open(attempt: int, replica: str, begun: int) -> Attempt:
    return Attempt(number=attempt, replica=replica, begun=begun, result=None, bytes_up=None)
