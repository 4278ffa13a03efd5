"""PURE. Where an event of a `text/event-stream` ends (WHATWG HTML §9.2.6): at a blank line, with any line ending."""

import re

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_BLANK_LINE_LAST = re.compile(_BLANK_LINE.pattern + rb"\Z")
_TAIL = 4


class EventBoundary:
    def __init__(self) -> None:
        self._tail = b"\n\n"

    @property
    def reached(self) -> bool:
        """Whether what was fed so far ends between two events."""
        return _BLANK_LINE_LAST.search(self._tail) is not None

    def feed(self, data: bytes) -> None:
        self._tail = (self._tail + data[-_TAIL:])[-_TAIL:]

    def first_in(self, data: bytes) -> int | None:
        """Return how much of `data`, coming next, belongs to the event that is under way."""
        before = self._tail[1 - _TAIL :]
        for start in range(len(before) + 1):
            found = _BLANK_LINE.search(before + data, start)
            if found is not None and found.end() > len(before):
                return found.end() - len(before)
        return None
