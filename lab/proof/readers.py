"""The client's and the proxy's ledger, from lines to records. A request with no end stays open."""

from collections.abc import Iterable
from functools import lru_cache

from lab.proof.records import (
    Attempt,
    AttemptResult,
    ClientEnd,
    ClientFooter,
    ClientLedger,
    ClientOutcome,
    Fault,
    Header,
    Mixed,
    Offer,
    ProxyLedger,
    Reject,
    Restart,
)
from lab.proof.rows import Row, Rows, Unusable, header, number, some_number, some_text, text

# a table is a third of the price of a call to the enum, twice for every request
OUTCOMES = {outcome.value: outcome for outcome in ClientOutcome}
FAULTS = {fault.value: fault for fault in Fault}
RESULTS = {result.value: result for result in AttemptResult}


def read_client(lines: Iterable[bytes]) -> ClientLedger:
    rows = Rows(lines)
    reading = _Client(rows)
    for row in rows:
        try:
            reading.take(row)
        except Unusable:
            rows.skipped += 1
    return ClientLedger(
        header=reading.header,
        offers=reading.offers,
        ends=reading.ends,
        footer=reading.footer,
        reading=rows.reading(),
    )


def read_proxy(lines: Iterable[bytes]) -> ProxyLedger:
    rows = Rows(lines)
    reading = _Proxy(rows)
    for row in rows:
        try:
            reading.take(row)
        except Unusable:
            rows.skipped += 1
    return ProxyLedger(
        header=reading.header,
        attempts=reading.attempts(),
        rejects={request: tuple(found) for request, found in reading.rejects.items()},
        begins=reading.begins,
        footer_attempts=reading.footer_attempts,
        lost=sum(lines for _, lines in reading.lost),
        restarts=tuple(reading.restarts),
        reading=rows.reading(),
    )


class _Client:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.header: Header | None = None
        self.offers: dict[str, Offer] = {}
        self.ends: dict[str, ClientEnd] = {}
        self.footer: ClientFooter | None = None

    def take(self, row: Row) -> None:
        kind = row["e"]
        if kind == "offer":
            self._offer(text(row, "id"), row)
        elif kind == "end":
            self._end(text(row, "id"), row)
        elif kind == "header":
            self.header = header(row)
        elif kind == "footer":
            self.footer = _client_footer(row)

    def _offer(self, request: str, row: Row) -> None:
        offer = Offer(
            cohort=text(row, "cohort"),
            method=text(row, "method"),
            path=text(row, "path"),
            due=number(row, "due"),
            t=number(row, "t"),
        )
        known = self.offers.setdefault(request, offer)
        if known is not offer:
            self._again(same=known == offer)

    def _end(self, request: str, row: Row) -> None:
        end = ClientEnd(
            t=number(row, "t"),
            outcome=OUTCOMES[row["outcome"]],
            status=some_number(row, "status"),
            version=some_text(row, "version"),
            replica=some_text(row, "replica"),
            reason=some_text(row, "reason"),
            error=some_text(row, "error"),
            detail=some_text(row, "detail"),
            ack=some_number(row, "ack"),
            mixed=_mixed(row) if "writer" in row or "fault" in row else None,
        )
        known = self.ends.setdefault(request, end)
        if known is end:
            return
        self._again(same=known == end)
        if known.outcome is ClientOutcome.OK:  # of two stories, the one that is a drop must not be lost
            self.ends[request] = end

    def _again(self, *, same: bool) -> None:
        if same:
            self.rows.duplicates += 1
        else:
            self.rows.conflicts += 1


def _mixed(row: Row) -> Mixed:
    return _same_mixed(some_text(row, "writer"), some_text(row, "fault"), some_text(row, "field"))


@lru_cache(maxsize=1000)
def _same_mixed(writer: str | None, fault: str | None, field: str | None) -> Mixed:
    """A few records for a million lines."""
    return Mixed(writer=writer, fault=None if fault is None else FAULTS[fault], field=field)


def _client_footer(row: Row) -> ClientFooter:
    return ClientFooter(
        t=number(row, "t"),
        offered=number(row, "offered"),
        not_sent=number(row, "not_sent"),
        lag_p99_ms=float(row["lag_p99_ms"]),
        complete=row["complete"] is True,
    )


class _Proxy:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.header: Header | None = None
        self.pending: dict[tuple[str, int], tuple[str, int]] = {}
        self.closed: dict[str, tuple[Attempt, ...]] = {}
        self.rejects: dict[str, list[Reject]] = {}
        self.begins = 0
        self.footer_attempts: int | None = None
        self.lost: set[tuple[int, int]] = set()
        self.restarts: list[Restart] = []
        self.begun_until = self.seen_until = 0
        self.requests = {
            "attempt": self._attempt,
            "begin": self._begin,
            "end": self._end,
            "reject": self._reject,
        }
        self.others = {
            "header": self._header,
            "footer": self._footer,
            "lost": self._lost,
            "restarted": self._restarted,
        }

    def take(self, row: Row) -> None:
        kind = row["e"]
        if kind in self.requests:
            self.requests[kind](text(row, "id"), row)
        elif kind in self.others:
            self.others[kind](row)
        else:
            return
        if kind not in {"header", "footer"}:
            self.footer_attempts = None  # the proxy came back and went on: that footer was not the last word
        self.seen_until = max(self.seen_until, some_number(row, "t") or 0, some_number(row, "t_end") or 0)

    def attempts(self) -> dict[str, tuple[Attempt, ...]]:
        for (request, attempt), (replica, begun) in self.pending.items():
            self._keep(request, _open(attempt, replica, begun))
        return self.closed

    def _header(self, row: Row) -> None:
        self.header = header(row)

    def _footer(self, row: Row) -> None:
        self.footer_attempts = number(row, "attempts")

    def _lost(self, row: Row) -> None:
        told = (number(row, "t"), number(row, "lines"))
        self.rows.duplicates += told in self.lost
        self.lost.add(told)

    def _restarted(self, row: Row) -> None:
        t = number(row, "t")
        if any(restart.t == t for restart in self.restarts):
            self.rows.duplicates += 1
        else:
            begun, seen = min(self.begun_until, t), min(self.seen_until, t)
            self.restarts.append(Restart(begun_until=begun, seen_until=seen, t=t))

    def _attempt(self, request: str, row: Row) -> None:
        """Take one that was over before its begin was written: both are in one line."""
        duplicates = self.rows.duplicates
        self._begin(request, row)
        if self.rows.duplicates == duplicates:
            self._end(request, row)

    def _begin(self, request: str, row: Row) -> None:
        attempt, replica, begun = number(row, "attempt"), text(row, "replica"), number(row, "t")
        key = (request, attempt)
        before = self.pending.get(key)
        known = self.closed.get(request)
        if before == (replica, begun) or (known and any(_is(found, attempt, begun) for found in known)):
            self.rows.duplicates += 1
            return
        self.begins += 1
        self.begun_until = max(self.begun_until, begun)
        if before is not None:  # the same id sent twice by the client: two attempts, not one
            self._keep(request, _open(attempt, *before))
        self.pending[key] = (replica, begun)

    def _end(self, request: str, row: Row) -> None:
        attempt, result = number(row, "attempt"), RESULTS[row["result"]]
        begin = self.pending.pop((request, attempt), None)
        if begin is None:
            self.rows.duplicates += 1
            return
        replica, begun = begin
        up = some_number(row, "bytes_up")
        self._keep(request, Attempt(number=attempt, replica=replica, begun=begun, result=result, bytes_up=up))

    def _keep(self, request: str, attempt: Attempt) -> None:
        known = self.closed.get(request)
        self.closed[request] = (attempt,) if known is None else tuple(sorted((*known, attempt), key=_begun))

    def _reject(self, request: str, row: Row) -> None:
        reject = Reject(reason=text(row, "reason"), status=number(row, "status"), t=number(row, "t"))
        known = self.rejects.setdefault(request, [])
        if reject in known:
            self.rows.duplicates += 1
        else:
            known.append(reject)


def _begun(attempt: Attempt) -> int:
    return attempt.begun


def _is(known: Attempt, attempt: int, begun: int) -> bool:
    return known.number == attempt and known.begun == begun


def _open(attempt: int, replica: str, begun: int) -> Attempt:
    return Attempt(number=attempt, replica=replica, begun=begun, result=None, bytes_up=None)
