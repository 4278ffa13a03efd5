"""A word is taken once, by whoever runs the rollout then; and it wakes who waits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import GatewayError
from lab.inbox import SqliteInbox, WakingWatch, put_word, withdraw_word
from lab.journal import SqliteJournal
from lab.model import Asked, Command


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[tuple[SqliteJournal, SqliteJournal]]:
    """The controller's, and the second terminal's."""
    both = SqliteJournal(tmp_path / "journal.db"), SqliteJournal(tmp_path / "journal.db")
    yield both
    for journal in both:
        journal.close()


Both = tuple[SqliteJournal, SqliteJournal]


def journalled(journal: SqliteJournal, asked: Asked, run: str = "r") -> None:
    journal.append("asked", run, 0, {"number": asked.number, "command": asked.command, "replicas": None, "to": None})


def test_words_are_heard_once_in_the_order_in_which_they_were_given(journals: Both) -> None:
    mine, theirs = journals
    inbox = SqliteInbox(mine, "r")
    first = put_word(theirs, "r", Command.SCALE, replicas=5)
    second = put_word(theirs, "r", Command.ROLLBACK, to=3)

    assert inbox.heard() == (
        Asked(number=first, command=Command.SCALE, replicas=5),
        Asked(number=second, command=Command.ROLLBACK, to=3),
    )
    assert inbox.heard() == ()
    assert first < second


def test_a_word_for_another_run_is_not_heard(journals: Both) -> None:
    put_word(journals[1], "another", Command.ABORT)

    assert SqliteInbox(journals[0], "r").heard() == ()


def test_a_word_that_a_killed_controller_did_not_journal_is_heard_by_the_next_and_one_that_it_did_is_not(
    journals: Both,
) -> None:
    mine, theirs = journals
    put_word(theirs, "r", Command.PAUSE)
    put_word(theirs, "r", Command.ABORT)
    pause, abort = SqliteInbox(mine, "r").heard()
    journalled(mine, pause)

    assert SqliteInbox(mine, "r").heard() == (abort,)


def test_a_word_that_was_taken_back_is_heard_by_nobody_and_its_number_is_not_given_again(journals: Both) -> None:
    mine, theirs = journals
    number = put_word(theirs, "r", Command.PAUSE)

    assert withdraw_word(theirs, "r", number)
    assert put_word(theirs, "r", Command.ABORT) > number
    assert [asked.command for asked in SqliteInbox(mine, "r").heard()] == [Command.ABORT]


def test_a_word_that_is_in_the_journal_cannot_be_taken_back(journals: Both) -> None:
    mine, theirs = journals
    number = put_word(theirs, "r", Command.PAUSE)
    journalled(mine, *SqliteInbox(mine, "r").heard())

    assert not withdraw_word(theirs, "r", number)


class Endless:
    """A watch that sees nothing, ever."""

    def __init__(self) -> None:
        self.ended = False

    async def changed(self, *, since: int, within: float) -> None:  # noqa: ARG002
        await self.rest(within)

    async def rest(self, seconds: float) -> None:  # noqa: ARG002
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


@pytest.mark.parametrize("wait", ["changed", "rest"])
async def test_a_word_wakes_a_controller_that_waits_and_its_own_records_do_not(journals: Both, wait: str) -> None:
    mine, theirs = journals
    endless = Endless()
    watch = WakingWatch(endless, mine)
    waits = watch.changed(since=0, within=60) if wait == "changed" else watch.rest(60)
    waiting = asyncio.create_task(waits)
    mine.append("act-done", "r", 0, {})
    await asyncio.sleep(0.25)
    assert not waiting.done()

    put_word(theirs, "r", Command.PAUSE)

    async with asyncio.timeout(5):
        await waiting
    assert endless.ended


async def test_a_word_that_came_before_the_wait_ends_it_at_once(journals: Both) -> None:
    watch = WakingWatch(Endless(), journals[0])
    put_word(journals[1], "r", Command.PAUSE)

    async with asyncio.timeout(5):
        await watch.changed(since=0, within=60)


class Broken:
    async def changed(self, *, since: int, within: float) -> None:  # noqa: ARG002
        raise GatewayError(id="proxy-gone", what="gone")

    async def rest(self, seconds: float) -> None: ...


async def test_what_the_watch_itself_finds_ends_the_wait_as_it_would_alone(journals: Both) -> None:
    watch = WakingWatch(Broken(), journals[0])

    await watch.rest(60)
    with pytest.raises(GatewayError):
        await watch.changed(since=0, within=60)
