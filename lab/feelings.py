"""What the users of the load feel while it runs, out of the lines that the load prints. For the gates."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from lab.gates import Felt
from lab.proof import Service
from lab.proof.answers import Answer
from lab.proof.comparison import WIDTHS_NS, compare
from lab.proof.result import Change

MOST_ANSWERS = 50_000
"""Of a long rollout the newest: what is compared is compared anew every second."""


class Feed(Protocol):
    """A load that runs."""

    @property
    def tick(self) -> Mapping[str, Any]: ...

    def take_answers(self) -> list[Answer]:
        """Those that came since it was last asked, oldest first."""
        ...


class Feelings:
    """Compares the revision's answers with the others', in the instants in which both came."""

    def __init__(self, feed: Feed | None) -> None:
        self._feed = feed
        self._answers: list[Answer] = []
        self._first: dict[str, int] = {}
        """Replica -> when its first answer was due: from then on it served."""
        self._changes: tuple[Change, ...] = ()

    def felt(self, revision: int, revisions: Mapping[str, int]) -> Felt:
        """`revisions`: of each replica that was seen. Nobody who was never seen is compared."""
        if self._feed is None:
            return Felt()
        came = [answer for answer in self._feed.take_answers() if answer.replica in revisions]
        if came:
            self._take(came)
            self._changes = self._compared(revision, revisions)
        tick = self._feed.tick
        return Felt(ended=tick.get("finished", 0), dropped=tick.get("failed", 0), changes=self._changes)

    def _take(self, came: Sequence[Answer]) -> None:
        for answer in came:
            name = answer.replica or ""
            self._first[name] = min(self._first.get(name, answer.due_ns), answer.due_ns)
        self._answers = [*self._answers, *came][-MOST_ANSWERS:]

    def _compared(self, revision: int, revisions: Mapping[str, int]) -> tuple[Change, ...]:
        new = {name: since for name, since in self._first.items() if revisions[name] == revision}
        if not new:
            return ()
        widest = max(WIDTHS_NS)
        together = min(new.values()) // widest * widest
        self._answers = [answer for answer in self._answers if answer.due_ns >= together]
        services = [Service(replica=name, from_ns=since) for name, since in new.items()]
        return compare(self._answers, services, "", "").changes
