"""The client's ledger in columns."""

from array import array
from collections.abc import Iterator

from lab.proof.columns import MOST_WORDS, NOTHING, View, Words, longer
from lab.proof.ids import Ids
from lab.proof.records import ClientEnd, ClientOutcome, Mixed, Offer

Told = tuple[str | None, str | None, str | None]
UNTOLD: Told = (None, None, None)


class ClientColumns:
    """An offer and an end for each row, or none of the one or the other."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self.offered = 0
        self._due, self._sent, self._ended, self._status, self._ack = (array("q") for _ in range(5))
        self._what, self._outcome, self._who, self._mix = (array("i") for _ in range(4))
        self._paths: list[str] = []
        self._known_paths: dict[str, str] = {}
        self._whats: Words[tuple[str, str]] = Words()
        self._outcomes: Words[ClientOutcome] = Words()
        self._whos: Words[tuple[str | None, str | None]] = Words()
        self._mixes: Words[Mixed | None] = Words()
        self._told: dict[int, Told] = {}

    def offer(self, row: int, offer: Offer) -> bool:
        """False: it was offered already, and that stays."""
        if row >= len(self._due):
            self._grow()
        if self._due[row] != NOTHING:
            return False
        self.offered += 1
        self._due[row] = offer.due
        self._sent[row] = offer.t
        self._what[row] = self._whats[(offer.cohort, offer.method)]
        known, path = self._known_paths, offer.path
        self._paths[row] = known.setdefault(path, path) if len(known) < MOST_WORDS else known.get(path, path)
        return True

    def ended(self, row: int) -> bool:
        return row < len(self._due) and self._ended[row] != NOTHING

    def end(self, row: int, end: ClientEnd, mixed: Mixed | None) -> None:
        if row >= len(self._due):
            self._grow()
        self._ended[row] = end.t
        self._outcome[row] = self._outcomes[end.outcome]
        self._who[row] = self._whos[(end.version or None, end.replica or None)]
        self._mix[row] = self._mixes[mixed]
        self._status[row] = NOTHING if end.status is None else end.status
        self._ack[row] = NOTHING if end.ack is None else end.ack
        if end.reason or end.error or end.detail:
            self._told[row] = (end.reason or None, end.error or None, end.detail or None)
        else:
            self._told.pop(row, None)

    def offer_at(self, row: int) -> Offer | None:
        if not 0 <= row < len(self._due) or self._due[row] == NOTHING:
            return None
        cohort, method = self._whats.known[self._what[row]]
        return Offer(cohort=cohort, method=method, path=self._paths[row], due=self._due[row], t=self._sent[row])

    def end_at(self, row: int) -> ClientEnd | None:
        if not 0 <= row < len(self._due) or self._ended[row] == NOTHING:
            return None
        version, replica = self._whos.known[self._who[row]]
        status, ack = self._status[row], self._ack[row]
        reason, error, detail = self._told.get(row, UNTOLD)
        return ClientEnd(
            t=self._ended[row],
            outcome=self._outcomes.known[self._outcome[row]],
            status=None if status == NOTHING else status,
            version=version,
            replica=replica,
            reason=reason,
            error=error,
            detail=detail,
            ack=None if ack == NOTHING else ack,
            mixed=self._mixes.known[self._mix[row]],
        )

    def rows(self) -> Iterator[int]:
        """Those of which anything is said."""
        return (
            row
            for row, (due, ended) in enumerate(zip(self._due, self._ended, strict=True))
            if due != NOTHING or ended != NOTHING
        )

    def told(self) -> Iterator[tuple[str, Offer, ClientEnd | None]]:
        """All that was offered, and how it ended."""
        for row in self.rows():
            offer = self.offer_at(row)
            if offer is not None:
                yield self._ids.name(row), offer, self.end_at(row)

    def orphans(self) -> int:
        """Ends of what was never offered."""
        return sum(due == NOTHING != ended for due, ended in zip(self._due, self._ended, strict=True))

    @property
    def offers(self) -> View[Offer]:
        return View(self._ids, self.offer_at, lambda: len(self._due))

    @property
    def ends(self) -> View[ClientEnd]:
        return View(self._ids, self.end_at, lambda: len(self._due))

    def _grow(self) -> None:
        numbers = (self._due, self._sent, self._ended, self._status, self._ack)
        longer(numbers, (self._what, self._outcome, self._who, self._mix))
        self._paths += [""] * (len(self._due) - len(self._paths))
