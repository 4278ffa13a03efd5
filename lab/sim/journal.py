"""A journal that lives as long as the process."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.ports import Event


class MemoryJournal:
    def __init__(self) -> None:
        self._events: list[Event] = []

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        event = Event(seq=len(self._events) + 1, type=type, run=run, t_ns=t_ns, data=data)
        self._events.append(event)
        return event

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        return [e for e in self._events if run in {None, e.run} and (not types or e.type in types)]

    def lines(self) -> Iterator[bytes]:
        """As events.jsonl holds them; the same seed gives the same bytes."""
        for e in self._events:
            about = {"seq": e.seq, "type": e.type, "run": e.run, "t_ns": e.t_ns, "wall": e.wall, "data": dict(e.data)}
            yield json.dumps(about, separators=(",", ":")).encode() + b"\n"

    def digest(self) -> str:
        found = hashlib.sha256()
        for line in self.lines():
            found.update(line)
        return found.hexdigest()
