"""Do the sums balance: as many parcels at the end as were asked for, and not one more."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lab.proof.join import Joined
from lab.proof.records import ClientOutcome
from lab.proof.result import Reason

CREATES = "POST"
NEVER_SENT = frozenset({ClientOutcome.NOT_SENT, ClientOutcome.REFUSED})


@dataclass(slots=True)
class BalanceCount:
    """Fed with every request. What was acknowledged is there once; of what failed nobody knows whether it is.

    A loss is found by its request (D7). What is too much belongs to no request: only the sum tells.
    """

    acknowledged: set[int] = field(default_factory=set)
    perhaps: int = 0

    def take(self, joined: Joined) -> None:
        if joined.offer.method != CREATES:
            return
        end = joined.end
        if end is not None and end.ack is not None:
            self.acknowledged.add(end.ack)
        elif end is None or end.outcome not in NEVER_SENT:
            self.perhaps += 1

    def doubts(self, stored: int | None) -> Iterator[Reason]:
        """`stored`: the parcels of this run that the database holds at the end. None: it was not asked."""
        most = len(self.acknowledged) + self.perhaps
        if stored is not None and stored > most:
            yield Reason(
                id="unasked-writes",
                message=f"the database holds parcels of this run that nobody asked for ({stored - most}): {stored},"
                f" where {len(self.acknowledged)} were acknowledged and {self.perhaps} more may have been stored",
                fix="does the version write twice, or under another key? lab logs",
            )
