"""Operators' words: another terminal writes them beside the journal, the controller reads them there.

A word is taken once: the journal's `asked` says so, and nothing else. Killed before that is on disk, the controller
that follows takes the word; killed after it, that one finds it in the journal.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime

from lab.journal import SqliteJournal
from lab.model import Asked, Command
from lab.ports import Watch

GLANCE_SECONDS = 0.1
"""A word waits no longer than this until it is seen. What is looked at is memory that both processes share."""


def put_word(
    journal: SqliteJournal, run: str, command: Command, *, replicas: int | None = None, to: int | None = None
) -> int:
    """Return the word's number: the event that answers it names it."""
    wall = datetime.now(UTC).isoformat(timespec="milliseconds")
    row = (run, command, replicas, to, wall)
    return journal.write('insert into asked(run, command, replicas, "to", wall) values (?,?,?,?,?)', row)


def withdraw_word(journal: SqliteJournal, run: str, number: int) -> bool:
    """Take back a word that nobody took. False: it was taken, and may still be obeyed."""
    journal.write("delete from asked where number = ?", (number,))
    return all(event.data["number"] != number for event in journal.events(run=run, types=["asked"]))


class SqliteInbox:
    """The words for one run."""

    def __init__(self, journal: SqliteJournal, run: str) -> None:
        self._journal = journal
        self._run = run
        taken = journal.events(run=run, types=["asked"])
        self._last = max((event.data["number"] for event in taken), default=0)

    def heard(self) -> tuple[Asked, ...]:
        sql = 'select number, command, replicas, "to" from asked where run = ? and number > ? order by number'
        words = tuple(
            Asked(number=number, command=Command(command), replicas=replicas, to=to)
            for number, command, replicas, to in self._journal.read(sql, (self._run, self._last))
        )
        self._last = max((word.number for word in words), default=self._last)
        return words


class WakingWatch:
    """Waits as another watch does, but no longer than until somebody else writes beside the journal."""

    def __init__(self, watch: Watch, journal: SqliteJournal) -> None:
        self._watch = watch
        self._journal = journal

    async def changed(self, *, since: int, within: float) -> None:
        await self._unless_moved(self._watch.changed(since=since, within=within))

    async def rest(self, seconds: float) -> None:
        await self._unless_moved(self._watch.rest(seconds))

    async def _unless_moved(self, wait: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(wait)
        try:
            while not task.done() and not self._journal.moved():
                await asyncio.wait({task}, timeout=GLANCE_SECONDS)
            if task.done():
                task.result()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
