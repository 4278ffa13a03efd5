"""A journal that lives as long as the process."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.ports import Event


class MemoryJournal:
    def __init__(self) -> None:
        self._events: list[Event] = []

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        event = Event(seq=len(self._events) + 1, type=type, run=run, t_ns=t_ns, data=dict(data))
        self._events.append(event)
        return event

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        return [e for e in self._events if run in {None, e.run} and (not types or e.type in types)]
