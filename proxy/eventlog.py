"""What changed, as events: found by comparing what was with what is, so that no change can be forgotten."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from proxy.routing import Entry
from proxy.transitions import Health, Place

_KEPT = 1000


class EventLog:
    """The last thousand events. Their numbers go up by one; after a restart they go on from beyond."""

    def __init__(self, *, first: int) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._known: dict[str, tuple[Place, Health]] = {}
        self.last = first

    def since(self, seq: int) -> list[dict[str, Any]]:
        return [event for event in self._events if event["seq"] > seq]

    def add(self, kind: str, t: int, **fields: Any) -> None:
        self.last += 1
        self._events.append({"seq": self.last, "t": t, "kind": kind, **fields})

    def note(self, entries: Iterable[Entry], t: int) -> None:
        """Tell what is new about the replicas since the last call."""
        now = {entry.route.replica: entry for entry in entries}
        for replica, entry in now.items():
            place, health = entry.route.place, entry.standing.health
            was_place, was_health = self._known.get(replica, (Place.GONE, Health.UNPROVEN))
            if place is not was_place:
                self.add("place", t, replica=replica, place=place.value)
                if place is Place.REMOVABLE:
                    took_ms = (t - (entry.route.retired_ns or t)) // 1_000_000
                    self.add("drained", t, replica=replica, aborted=entry.aborted, cut=entry.cut, took_ms=took_ms)
            if health is not was_health:
                probe = entry.last_probe
                by_errors = entry.standing.ejected_by == "errors"
                why = "connection errors in a row" if by_errors else (probe.error if probe is not None else "")
                self.add("health", t, replica=replica, health=health.value, why=why)
            self._known[replica] = place, health
        for replica in self._known.keys() - now.keys():
            del self._known[replica]
            self.add("place", t, replica=replica, place=Place.GONE.value)
