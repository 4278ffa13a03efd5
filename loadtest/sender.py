"""Makes one request of a cohort: ledger, exchange, judgement, ledger, counts; in this order, always all of it."""

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from loadtest.ledger import Ledger
from loadtest.messages import Message
from loadtest.oracle import Check, Expected, Judgement, judge
from loadtest.outcomes import Outcome
from loadtest.tally import Tally
from loadtest.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, and what a correct answer to it is."""

    cohort: str
    method: str
    path: str
    check: Check
    statuses: frozenset[int]
    body: Mapping[str, object] | None = None
    key: str | None = None
    due: int
    on_schedule: bool
    room: bool
    slow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    request_id: str
    ask: Ask
    judgement: Judgement
    latency_ns: int


class Sender:
    def __init__(
        self,
        *,
        run: str,
        transport: Transport,
        ledger: Ledger,
        tally: Tally,
        deadline_ns: int,
        on_end: Callable[[Ended], None],
    ) -> None:
        self.run = run
        self._transport = transport
        self._ledger = ledger
        self._tally = tally
        self._deadline_ns = deadline_ns
        self._on_end = on_end
        self._numbers = itertools.count(1)

    def send(self, ask: Ask) -> Judgement:
        request_id = f"{self.run}-{ask.cohort}-{next(self._numbers)}"
        now = time.monotonic_ns()
        self._ledger.offer(
            request_id=request_id, cohort=ask.cohort, method=ask.method, path=ask.path, due=ask.due, t=now, key=ask.key
        )
        self._tally.offer()
        if ask.on_schedule:
            self._tally.lag(now - ask.due)
        judgement = Judgement(outcome=Outcome.CLIENT_ABORT, detail="the load was cut off in this request")
        try:
            judgement = self._judged(ask, request_id, now)
        finally:
            self._end(ask, request_id, judgement)
        return judgement

    def _judged(self, ask: Ask, request_id: str, now: int) -> Judgement:
        until = ask.due + self._deadline_ns
        if not ask.room:
            return Judgement(outcome=Outcome.NOT_SENT, detail="too many requests are in flight already")
        if now >= until:
            return Judgement(outcome=Outcome.NOT_SENT, detail="the load itself was later than the deadline")
        expected = Expected(request_id=request_id, statuses=ask.statuses, check=ask.check)
        return judge(self._transport.send(_message(ask, request_id), until=until), expected)

    def _end(self, ask: Ask, request_id: str, judgement: Judgement) -> None:
        now = time.monotonic_ns()
        self._ledger.end(request_id=request_id, t=now, judgement=judgement, ack=_acknowledged(ask, judgement))
        latency = now - ask.due
        self._tally.end(judgement.outcome, now=now, latency_ns=None if ask.slow else latency)
        self._on_end(Ended(request_id=request_id, ask=ask, judgement=judgement, latency_ns=latency))


def _message(ask: Ask, request_id: str) -> Message:
    headers = {"X-Lab-Request-Id": request_id, "Accept": "application/json"}
    if ask.body is None:
        return Message(method=ask.method, path=ask.path, headers=headers)
    headers["Content-Type"] = "application/json"
    body = json.dumps(ask.body, ensure_ascii=False).encode()
    return Message(method=ask.method, path=ask.path, headers=headers, body=body)


def _acknowledged(ask: Ask, judgement: Judgement) -> int | None:
    if ask.body is None or judgement.outcome is not Outcome.OK or not isinstance(judgement.data, dict):
        return None
    request_id = judgement.data.get("id")
    return request_id if isinstance(request_id, int) else None
