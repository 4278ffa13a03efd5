"""Request ids as row numbers: a million of them in 20 MB, where the strings alone would take 100.

An id of the load ends with a number that is its alone (`<run>-<cohort>-<number>`), so that number finds its row, and
what stands before it is one of few. Any other id is kept as it is.
"""

from array import array

NONE = -1
SPARSE = 4
"""A number so many times above the count of rows is not worth a place of its own."""
FIRST = 100_000
MOST_DIGITS = 12


class Ids:
    """Each id has one row, from 0 on, in the order in which they were first seen."""

    __slots__ = ("_by_number", "_numbers", "_odd", "_odd_names", "_prefix_names", "_prefixes", "_which")

    def __init__(self) -> None:
        self._by_number = array("i")
        self._numbers = array("q")
        self._which = array("i")
        self._prefixes: dict[str, int] = {}
        self._prefix_names: list[str] = []
        self._odd: dict[str, int] = {}
        self._odd_names: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def row(self, request: str) -> int:
        """The row of that id; a new one if it has none yet.

        A number that is written otherwise than usual is no number: two ids must never be taken for one.
        """
        prefix, dash, digits = request.rpartition("-")
        try:
            number = int(digits)
        except ValueError:
            return self._odd_row(request)
        if str(number) != digits or number < 0 or not dash:
            return self._odd_row(request)
        which = self._prefixes.get(prefix)
        if which is None:
            which = self._prefixes[prefix] = len(self._prefix_names)
            self._prefix_names.append(prefix)
        if number >= len(self._by_number):
            if number > SPARSE * len(self._numbers) + FIRST:
                return self._odd_row(request)
            self._by_number.extend([NONE] * (number + FIRST - len(self._by_number)))
        row = self._by_number[number]
        if row == NONE:
            if request in self._odd:  # it came when its number was still out of reach
                return self._odd[request]
            row = self._by_number[number] = len(self._numbers)
            self._numbers.append(number)
            self._which.append(which)
            return row
        return row if self._which[row] == which else self._odd_row(request)

    def find(self, request: str) -> int:
        """The row of that id, or NONE."""
        prefix, dash, digits = request.rpartition("-")
        number = int(digits) if dash and digits.isdecimal() and len(digits) < MOST_DIGITS else NONE
        if 0 <= number < len(self._by_number) and str(number) == digits:
            row = self._by_number[number]
            if row != NONE and self._prefix_names[self._which[row]] == prefix:
                return row
        return self._odd.get(request, NONE)

    def name(self, row: int) -> str:
        which = self._which[row]
        return self._odd_names[row] if which == NONE else f"{self._prefix_names[which]}-{self._numbers[row]}"

    def _odd_row(self, request: str) -> int:
        row = self._odd.get(request)
        if row is None:
            row = self._odd[request] = len(self._numbers)
            self._odd_names[row] = request
            self._numbers.append(NONE)
            self._which.append(NONE)
        return row
