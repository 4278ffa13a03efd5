"""An event stream: every event is a self-checking body, numbered from 1, all of one replica."""

import time
from dataclasses import dataclass

from loadtest.envelope import Envelope, unseal
from loadtest.live import There, Told
from loadtest.messages import Broken, Reply
from loadtest.oracle import Expected, names_differ, refused_by_status, verdict
from loadtest.outcomes import Flaw, Framing, Kind, contract, truncated
from loadtest.sender import Offered, Sender, anything, message

_BETWEEN = b"\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    events: int
    interval_ms: int = 100

    @property
    def path(self) -> str:
        return f"/stream?events={self.events}&interval_ms={self.interval_ms}"

    def run(self, sender: Sender, offered: Offered, there: There) -> Told:
        reader = _Reader(offered.id, self.events, there)
        reply = sender.transport.send(message(offered), until=sender.until(offered), sink=reader)
        flaw = reply.flaw if isinstance(reply, Broken) else _flaw(reply, reader, offered.id)
        judgement = verdict(reply, flaw, size=reader.size)
        if flaw is not None and flaw.kind is Kind.CUT:
            rest = EventStream(events=self.events - reader.count, interval_ms=self.interval_ms)
            return Told(judgement=judgement, events=reader.count, cut_at=time.monotonic_ns(), rest=rest)
        return Told(judgement=judgement, events=reader.count)


def _flaw(reply: Reply, reader: "_Reader", request_id: str) -> Flaw | None:
    refusal = refused_by_status(reply, Expected(request_id=request_id, statuses=frozenset({200}), check=anything))
    if refusal or reader.flaw:
        return refusal or reader.flaw
    wrong = next((flaw for sender in reader.senders.values() if (flaw := names_differ(reply, sender))), None)
    if wrong or reader.done:
        return wrong
    detail = f"the stream ended after {reader.count} of {reader.wanted} events"
    if reader.between_events:
        return truncated(Kind.CUT, detail)
    inside = Kind.CUT_CLOSE_DELIMITED if reply.framing is Framing.CLOSE else Kind.CUT_INSIDE
    return truncated(inside, f"{detail}, and not between two")


class _Reader:
    """Takes the stream as it comes; keeps the first flaw."""

    def __init__(self, request_id: str, wanted: int, there: There) -> None:
        self.wanted = wanted
        self.count = 0
        self.size = 0
        self.flaw: Flaw | None = None
        self.senders: dict[tuple[str, str], Envelope] = {}
        self._request_id = request_id
        self._there = there
        self._left = b""

    @property
    def done(self) -> bool:
        return self.count == self.wanted and not self._left

    @property
    def between_events(self) -> bool:
        return 0 < self.count < self.wanted and not self._left

    def feed(self, data: bytes) -> None:
        self.size += len(data)
        *events, self._left = (self._left + data).split(_BETWEEN)
        for event in events:
            self.flaw = self.flaw or self._take(event)

    def _take(self, event: bytes) -> Flaw | None:
        number, _, rest = event.partition(b"\n")
        self.count += 1
        if number != b"id: %d" % self.count or not rest.startswith(b"data: ") or self.count > self.wanted:
            return contract(Kind.WRONG_CONTENT, f"event {self.count} of {self.wanted} begins with {event[:40]!r}")
        envelope = unseal(rest.removeprefix(b"data: "), request_id=self._request_id)
        if isinstance(envelope, Flaw):
            return contract(envelope.kind, f"event {self.count}: {envelope.detail}")
        if envelope.data != {"n": self.count}:
            return contract(Kind.WRONG_CONTENT, f"event {self.count} holds {envelope.data!r}")
        self.senders[envelope.version, envelope.replica] = envelope
        if self.count == 1:
            self._there(time.monotonic_ns())
        return None
