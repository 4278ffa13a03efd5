"""Sessions: exchanges that go on, and that a drain deadline may end in order.

One that was cut is asked for again at once, as its user's client would do. If it is there again within a second, the
cut is the drain's right and is told as such; otherwise it is a failure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from loadtest.oracle import Judgement
from loadtest.outcomes import Kind, Outcome
from loadtest.sender import ABORTED, Ask, Offered, Sender

AGAIN_WITHIN_NS = 1_000_000_000
_MOST_CUTS = 3

There = Callable[[int], None]
"""Called when a session's first word has come, with the time of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a session ended. `cut_at`: in order, but before its time; `rest` is what it still had to give."""

    judgement: Judgement
    events: int = 0
    cut_at: int | None = None
    rest: "Session | None" = None


class Session(Protocol):
    @property
    def path(self) -> str: ...

    def run(self, sender: Sender, offered: Offered, there: There) -> Told: ...


def play(sender: Sender, ask: Ask, session: Session) -> None:
    """Play it to its end, through every cut."""
    cut: _Cut | None = None
    rest: Session | None = session
    for number in range(_MOST_CUTS + 1):
        if rest is None:
            return
        follows = cut.offered.id if cut else ask.follows
        due = cut.at if cut else ask.due
        offered = sender.offer(replace(ask, path=rest.path, due=due, follows=follows))
        told = _told(sender, offered, rest, cut)
        cut = _Cut(sender, offered, told, told.cut_at) if told.cut_at is not None else None
        if cut is None:
            sender.end(offered, told.judgement, {"events": told.events})
            return
        if number == _MOST_CUTS:
            cut.settle(None)
        rest = told.rest


def _told(sender: Sender, offered: Offered, session: Session, before: "_Cut | None") -> Told:
    """Run it; whatever comes of it, the cut before is settled then."""
    told: Told | None = None
    try:
        late = sender.too_late(offered)
        told = Told(judgement=late) if late else session.run(sender, offered, before.settle if before else _nobody)
    finally:
        if told is None:
            sender.end(offered, ABORTED)
        if before is not None:
            before.settle(None, aborted=told is None)
    return told


def _nobody(_t: int) -> None:
    """There was no cut before: nobody waits for this one."""


class _Cut:
    """A session that was cut: open in the ledger until it is known whether there was another in time."""

    def __init__(self, sender: Sender, offered: Offered, told: Told, at: int) -> None:
        self.offered = offered
        self.at = at
        self._sender = sender
        self._told = told
        self._settled = False

    def settle(self, again: int | None, *, aborted: bool = False) -> None:
        if self._settled:
            return
        self._settled = True
        figures = {"events": self._told.events, "cut": self.at}
        if again is not None:
            figures["again"] = again
        self._sender.end(self.offered, ABORTED if aborted else self._judged(again), figures)

    def _judged(self, again: int | None) -> Judgement:
        found, how = self._told.judgement, self._told.judgement.detail
        if again is not None and again - self.at <= AGAIN_WITHIN_NS:
            after = (again - self.at) / 1e6
            return replace(found, outcome=Outcome.CUT, kind=Kind.CUT, detail=f"{how}; there again after {after:.0f} ms")
        gone = f"{how}; not there again within a second"
        return replace(found, outcome=Outcome.TRUNCATED, kind=Kind.CUT_AND_GONE, detail=gone)
