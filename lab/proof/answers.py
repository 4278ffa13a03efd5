"""The good answers of a run in columns: a million of them in 20 MB."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct


class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """`due_ns`: when the request was to be sent; `took_ns`: from then to its whole answer."""

    due_ns: int
    took_ns: int
    replica: str | None


@dataclass(slots=True)
class Answers:
    """Of the cohorts that are not slow on purpose, in the order of the client's ledger."""

    due: "array[int]" = field(default_factory=lambda: array("q"))
    took: "array[int]" = field(default_factory=lambda: array("q"))
    _who: "array[int]" = field(default_factory=lambda: array("i"))
    _numbers: dict[str | None, int] = field(default_factory=dict)

    def add(self, due_ns: int, took_ns: int, replica: str | None) -> None:
        self.due.append(due_ns)
        self.took.append(took_ns)
        self._who.append(self._numbers.setdefault(replica, len(self._numbers)))

    def __iter__(self) -> Iterator[Answer]:
        names = list(self._numbers)
        for due, took, who in zip(self.due, self.took, self._who, strict=True):
            yield Answer(due_ns=due, took_ns=took, replica=names[who])
