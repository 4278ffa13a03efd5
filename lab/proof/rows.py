"""JSON lines into rows, tolerant of what a crash or another writer leaves between them."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from lab.proof.records import Header, Reading

Row = dict[str, Any]
Unusable = (KeyError, TypeError, ValueError)

_decode = json.JSONDecoder().raw_decode


class Rows:
    """Iterates over the JSON objects; counts, while it runs, what was none."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.skipped = 0
        self.duplicates = 0
        self.conflicts = 0
        self._cut = False

    def __iter__(self) -> Iterator[Row]:
        for line in self._lines:
            self._cut = False
            try:
                told = line.decode().strip()
                if not told:
                    continue
                row, end = _decode(told)
            except (ValueError, RecursionError):
                self.skipped += 1
                self._cut = True
                continue
            if type(row) is dict and end == len(told):
                yield row
            else:
                self.skipped += 1

    def reading(self) -> Reading:
        return Reading(skipped=self.skipped, duplicates=self.duplicates, conflicts=self.conflicts, cut=self._cut)


def text(row: Row, key: str) -> str:
    value = row[key]
    if type(value) is not str:
        raise TypeError(key)
    return value


def number(row: Row, key: str) -> int:
    value = row[key]
    if type(value) is not int:  # a bool is no number of anything
        raise TypeError(key)
    return value


def some_text(row: Row, key: str) -> str | None:
    value = row.get(key)
    return value if type(value) is str and value else None


def some_number(row: Row, key: str) -> int | None:
    value = row.get(key)
    return value if type(value) is int else None


def header(row: Row) -> Header:
    return Header(schema=text(row, "schema"), run=text(row, "run"), t=number(row, "t"))
