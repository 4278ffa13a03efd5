"""Makes one request of a cohort: ledger, exchange, judgement, ledger, counts; in this order, always all of it."""

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loadtest.ledger import Ledger
from loadtest.messages import Message
from loadtest.oracle import Check, Expected, Judgement, judge
from loadtest.outcomes import Kind, Outcome
from loadtest.tally import Tally
from loadtest.transport import Transport

ABORTED = Judgement(outcome=Outcome.CLIENT_ABORT, kind=Kind.ABORTED, detail="the load was cut off in this request")


def anything(_data: object, _version: str) -> None:
    """No more is known of a correct answer than that it is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, and what a correct answer to it is. `timed`: how long it takes says something.

    writer: the version that last wrote what it asks for, where that is known.
    """

    cohort: str
    method: str
    path: str
    due: int
    check: Check = anything
    statuses: frozenset[int] = frozenset({200})
    sealed: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    key: str | None = None
    follows: str | None = None
    fresh: bool = False
    timed: bool = True
    writer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    id: str
    ask: Ask
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    request_id: str
    ask: Ask
    judgement: Judgement
    latency_ns: int


class Sender:
    """`first` and `step` number the requests: those of several processes must differ."""

    def __init__(
        self,
        *,
        run: str,
        transport: Transport,
        ledger: Ledger,
        tally: Tally,
        deadline_ns: int,
        on_end: Callable[[Ended], None],
        first: int = 1,
        step: int = 1,
    ) -> None:
        self.run = run
        self.transport = transport
        self._ledger = ledger
        self._tally = tally
        self._deadline_ns = deadline_ns
        self._on_end = on_end
        self._numbers = itertools.count(first, step)

    def send(self, ask: Ask) -> tuple[str, Judgement]:
        """Return the request's id and what came of it."""
        offered = self.offer(ask)
        judgement = ABORTED
        try:
            judgement = self.too_late(offered) or self._exchanged(offered)
        finally:
            self.end(offered, judgement)
        return offered.id, judgement

    def begins(self, due: int) -> None:
        """A turn that was due begins: whatever came between was the load's own doing, and nobody else's."""
        now = time.monotonic_ns()
        self._tally.lag(now - due, now=now)

    def no_room(self, cohort: str, due: int) -> None:
        """A turn that could not be taken: what it would have asked is not known."""
        offered = self.offer(Ask(cohort=cohort, method="-", path="-", due=due))
        detail = "too many requests are in flight already"
        self.end(offered, Judgement(outcome=Outcome.NOT_SENT, kind=Kind.NO_ROOM, detail=detail))

    def offer(self, ask: Ask) -> Offered:
        now = time.monotonic_ns()
        offered = Offered(id=f"{self.run}-{ask.cohort}-{next(self._numbers)}", ask=ask, at=now)
        self._ledger.offer(
            request_id=offered.id,
            cohort=ask.cohort,
            method=ask.method,
            path=ask.path,
            due=ask.due,
            t=now,
            key=ask.key,
            follows=ask.follows,
        )
        self._tally.offer()
        return offered

    def too_late(self, offered: Offered) -> Judgement | None:
        if offered.at < self.until(offered):
            return None
        detail = "the load itself was later than the deadline"
        return Judgement(outcome=Outcome.NOT_SENT, kind=Kind.TOO_LATE, detail=detail)

    def until(self, offered: Offered) -> int:
        return offered.ask.due + self._deadline_ns

    def end(self, offered: Offered, judgement: Judgement, more: Mapping[str, int] | None = None) -> None:
        now, ask = time.monotonic_ns(), offered.ask
        self._ledger.end(
            request_id=offered.id, t=now, judgement=judgement, ack=_acknowledged(ask, judgement), more=more
        )
        latency = now - ask.due
        self._tally.end(judgement.outcome, now=now, latency_ns=latency if ask.timed else None)
        if judgement.mix is not None and judgement.version is not None:
            self._tally.mixed(judgement.mix, reader=judgement.version)
        self._on_end(Ended(request_id=offered.id, ask=ask, judgement=judgement, latency_ns=latency))

    def _exchanged(self, offered: Offered) -> Judgement:
        ask = offered.ask
        expected = Expected(
            request_id=offered.id, statuses=ask.statuses, check=ask.check, sealed=ask.sealed, writer=ask.writer
        )
        return judge(self.transport.send(message(offered), until=self.until(offered)), expected)


def message(offered: Offered) -> Message:
    ask = offered.ask
    headers = {"X-Lab-Request-Id": offered.id, "Accept": "application/json", **ask.headers}
    return Message(method=ask.method, path=ask.path, headers=headers, body=ask.body, fresh=ask.fresh)


def _acknowledged(ask: Ask, judgement: Judgement) -> int | None:
    if not (ask.body and ask.sealed) or judgement.outcome is not Outcome.OK or not isinstance(judgement.data, dict):
        return None
    stored = judgement.data.get("id")
    return stored if isinstance(stored, int) else None
