"""JSON lines into rows, tolerant of what a crash or another writer leaves between them."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from msgspec import MsgspecError

from lab.proof.records import Header, Reading

Row = dict[str, Any]
Unusable = (KeyError, TypeError, ValueError)
T = TypeVar("T")
MOST = 2**63

_decode = json.JSONDecoder().raw_decode


class Rows:
    """Iterates over the JSON objects; counts, while it runs, what was none."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.skipped = 0
        self.duplicates = 0
        self.conflicts = 0
        self._cut = False

    def each(self, usual: Callable[[bytes], T]) -> Iterator[T | Row]:
        """What `usual` makes of a line; of one that it refuses, whatever JSON object stands there."""
        for line in self._lines:
            self._cut = False
            try:
                yield usual(line)
            except (MsgspecError, RecursionError):
                row = self._unusual(line)
                if row is not None:
                    yield row

    def reading(self) -> Reading:
        return Reading(skipped=self.skipped, duplicates=self.duplicates, conflicts=self.conflicts, cut=self._cut)

    def _unusual(self, line: bytes) -> Row | None:
        try:
            told = line.decode().strip()
            if not told:
                return None
            row, end = _decode(told)
        except (ValueError, RecursionError):
            self.skipped += 1
            self._cut = True
            return None
        if type(row) is dict and end == len(told):
            return row
        self.skipped += 1
        return None


def text(row: Row, key: str) -> str:
    value = row[key]
    if type(value) is not str:
        raise TypeError(key)
    return value


def number(row: Row, key: str) -> int:
    value = row[key]
    if type(value) is not int or not -MOST < value < MOST:  # a bool is no number of anything
        raise TypeError(key)
    return value


def some_text(row: Row, key: str) -> str | None:
    value = row.get(key)
    return value if type(value) is str and value else None


def some_number(row: Row, key: str) -> int | None:
    value = row.get(key)
    return value if type(value) is int and -MOST < value < MOST else None


def header(row: Row) -> Header:
    return Header(schema=text(row, "schema"), run=text(row, "run"), t=number(row, "t"))
