"""What the ledgers say of each request, in columns: a million requests in 150 MB. Row numbers are those of `Ids`.

The records that the rest of the proof knows are made when they are asked for.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from lab.proof.ids import NONE, Ids

NOTHING = -(2**63)
"""What a number is that is not there: no ledger's own."""
MOST_WORDS = 10_000
_BLOCK = 1 << 15
_NOTHINGS = array("q", [NOTHING]) * _BLOCK
_NONES = array("i", [NONE]) * _BLOCK
T = TypeVar("T")
W = TypeVar("W")


class Words(dict[W, int]):
    """Few different values, many times: each by its number, which a new one gets when it is asked for."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        super().__init__()
        self.known: list[W] = []

    def __missing__(self, value: W) -> int:
        number = self[value] = len(self.known)
        self.known.append(value)
        return number


class View(Mapping[str, T]):
    """A ledger's records by id. `at` is asked with a row, and answers None where there is none."""

    __slots__ = ("_at", "_ids", "_rows")

    def __init__(self, ids: Ids, at: Callable[[int], T | None], rows: Callable[[], int]) -> None:
        self._ids = ids
        self._at = at
        self._rows = rows

    def on(self, ids: Ids) -> Callable[[int], T | None]:
        """What is said of a row of those ids."""
        mine, at = self._ids, self._at
        return at if ids is mine else lambda row: at(mine.find(ids.name(row)))

    def __getitem__(self, request: str) -> T:
        found = self._at(self._ids.find(request))
        if found is None:
            raise KeyError(request)
        return found

    def __iter__(self) -> Iterator[str]:
        return (self._ids.name(row) for row in range(self._rows()) if self._at(row) is not None)

    def __len__(self) -> int:
        return sum(self._at(row) is not None for row in range(self._rows()))


def longer(numbers: "tuple[array[int], ...]" = (), words: "tuple[array[int], ...]" = ()) -> None:
    """Make room for a block of rows more, with nothing in them."""
    for column in numbers:
        column.extend(_NOTHINGS)
    for column in words:
        column.extend(_NONES)
