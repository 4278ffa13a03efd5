"""What really happened, by the app's own words on its stdout. None of the proof's code reads them here."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.proof import Class

SESSIONS = ("/stream", "/ws")
"""Their answers have begun long before they end: what ends them early cuts them."""


@dataclass(slots=True)
class _Seen:
    """A request in the app's logs. `again`: a second attempt at it was seen."""

    path: str = ""
    begun: int = 0
    ended: int = 0
    again: bool = False


def left_unanswered(logs: Iterable[Iterable[bytes]], run: str) -> Mapping[Class, frozenset[str]]:
    """The requests that some replica of the app began and did not end, or that were asked a second time.

    Answered by another replica, it was sent again (masked). Else it is dropped: a session was cut off, and of anything
    else nothing came back but what the proxy says of it.
    """
    found: dict[Class, set[str]] = defaultdict(set)
    for request, seen in _requests(logs, run).items():
        if seen.ended == seen.begun and not seen.again:
            continue
        if seen.ended:
            found[Class.MASKED].add(request)
        else:
            found[Class.TRUNCATED if seen.path.startswith(SESSIONS) else Class.SERVER_ERROR].add(request)
    return {cls: frozenset(ids) for cls, ids in found.items()}


def asked_again(logs: Iterable[Iterable[bytes]], run: str) -> frozenset[str]:
    """The requests whose first attempt no replica began: at the socket of one that went, or never sent at all."""
    return frozenset(
        request for request, seen in _requests(logs, run).items() if seen.again and seen.begun == seen.ended
    )


def wrong_writes(logs: Iterable[Iterable[bytes]], run: str, fault: str) -> frozenset[str]:
    """The requests whose write the app says it lost, or did twice."""
    rows = (row for log in logs for row in _rows(log, run))
    return frozenset(row["id"] for row in rows if row["e"] == "fault" and row["fault"] == fault)


def _requests(logs: Iterable[Iterable[bytes]], run: str) -> Mapping[str, _Seen]:
    found: dict[str, _Seen] = defaultdict(_Seen)
    for row in (row for log in logs for row in _rows(log, run)):
        seen = found[row["id"]]
        if row["e"] == "begin":
            seen.path = row["path"]
            seen.begun += 1
            seen.again |= row["attempt"] > 1
        elif row["e"] == "end":
            seen.ended += 1
    return found


def _rows(log: Iterable[bytes], run: str) -> Iterator[dict[str, Any]]:
    for line in log:
        row = json.loads(line) if line.startswith(b'{"e":') else {}
        if str(row.get("id", "")).startswith(f"{run}-"):
            yield row
