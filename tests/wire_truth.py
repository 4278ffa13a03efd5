"""Whose answer was lost on the wire, by the app's own logs and the times at which somebody cut it. Pure.

The app says "answered" once the operating system has the answer. What the system could not send, no log tells: only
the time does, and the log and whoever cuts have the same clock.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.cut_network import Outage


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One attempt at one replica: the app's `begin` and, if there is one, its `end`, in ns."""

    request: str
    replica: str
    path: str
    begun: int
    ended: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """In which a replica was cut off; nobody knows when within."""

    replica: str
    began: int
    ended: int


def visits_of(logs: Mapping[str, Iterable[bytes]], run: str) -> list[Visit]:
    """`logs`: the lines of each replica."""
    begun: dict[tuple[str, str, int], dict[str, Any]] = {}
    ended: dict[tuple[str, str, int], dict[str, Any]] = {}
    for replica, lines in logs.items():
        for line in lines:
            row = json.loads(line) if line.startswith((b'{"e":"begin"', b'{"e":"end"')) else {"id": ""}
            if row["id"].startswith(f"{run}-"):
                (begun if row["e"] == "begin" else ended)[replica, row["id"], row["attempt"]] = row
    return [
        Visit(request=at[1], replica=at[0], path=row["path"], begun=row["t"], ended=ended.get(at, {}).get("t"))
        for at, row in begun.items()
    ]


def unanswered_in(outages: Iterable[Outage], visits: Sequence[Visit]) -> frozenset[str]:
    """The requests of which an attempt was at a replica when it was cut off, or came to it while it was."""
    return frozenset(visit.request for outage in outages for visit in visits if _lost(visit, outage))


def answered_elsewhere(outages: Sequence[Outage], visits: Sequence[Visit]) -> frozenset[str]:
    """The requests of which some attempt was answered, and came through."""
    return frozenset(
        visit.request
        for visit in visits
        if visit.ended is not None and not any(_lost(visit, outage) for outage in outages)
    )


def ended_within(instants: Iterable[Instant], visits: Sequence[Visit]) -> frozenset[str]:
    return frozenset(
        visit.request
        for instant in instants
        for visit in visits
        if visit.replica == instant.replica
        and visit.ended is not None
        and instant.began <= visit.ended <= instant.ended
    )


def _lost(visit: Visit, outage: Outage) -> bool:
    here = visit.replica == outage.replica and visit.begun < outage.on
    return here and (visit.ended is None or visit.ended > outage.off_by)
