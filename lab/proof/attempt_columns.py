"""The proxy's attempts in columns: nearly every request has one."""

from array import array

from lab.proof.columns import NOTHING, View, Words, longer
from lab.proof.ids import Ids
from lab.proof.records import Attempt, AttemptResult


class AttemptColumns:
    """Of each row its only attempt, or all of them by the time they were begun."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._begun, self._up = array("q"), array("q")
        self._number, self._replica, self._result = (array("i") for _ in range(3))
        self._replicas: Words[str] = Words()
        self._results: Words[AttemptResult | None] = Words()
        self._more: dict[int, tuple[Attempt, ...]] = {}

    def keep(self, row: int, attempt: Attempt) -> None:
        if row >= len(self._begun):
            longer((self._begun, self._up), (self._number, self._replica, self._result))
        if self._begun[row] == NOTHING:
            self._begun[row] = attempt.begun
            self._number[row] = attempt.number
            self._replica[row] = self._replicas[attempt.replica]
            self._result[row] = self._results[attempt.result]
            self._up[row] = NOTHING if attempt.bytes_up is None else attempt.bytes_up
        else:
            known = self._more.get(row) or (self._only(row),)
            self._more[row] = tuple(sorted((*known, attempt), key=_begun))

    def knows(self, row: int, number: int, begun: int) -> bool:
        if row >= len(self._begun) or self._begun[row] == NOTHING:
            return False
        if self._begun[row] == begun and self._number[row] == number:
            return True
        return any(one.number == number and one.begun == begun for one in self._more.get(row, ()))

    def at(self, row: int) -> tuple[Attempt, ...] | None:
        if not 0 <= row < len(self._begun) or self._begun[row] == NOTHING:
            return None
        return self._more.get(row) or (self._only(row),)

    @property
    def view(self) -> View[tuple[Attempt, ...]]:
        return View(self._ids, self.at, lambda: len(self._begun))

    def _only(self, row: int) -> Attempt:
        up = self._up[row]
        return Attempt(
            number=self._number[row],
            replica=self._replicas.known[self._replica[row]],
            begun=self._begun[row],
            result=self._results.known[self._result[row]],
            bytes_up=None if up == NOTHING else up,
        )


def _begun(attempt: Attempt) -> int:
    return attempt.begun
