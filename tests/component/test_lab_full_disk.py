"""The journal's own disk is really full: no effect without its record, a clear end, and a fleet that serves on."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.errors import Exit, JournalError
from lab.lease import held_lease
from lab.model import Ending
from lab.ports import Event
from tests.effects import told_of
from tests.lab_world import ProcessEngine, new_fleet, proxy_process
from tests.proxy_world import PATIENCE, Load
from tests.small_disk import fill, small_disk

V1, V2 = 1, 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", size="1m"):
        yield tmp_path / "disk"


class Auditor:
    """Reads the journal's file at each effect: is its intent there, and not yet done?"""

    def __init__(self, journal: Path) -> None:
        self.journal = journal
        self.effects = 0
        self.unrecorded: list[str] = []

    def point(self, what: str, about: Mapping[str, Any]) -> None:
        if "record" in what or not what.startswith("before"):
            return
        self.effects += 1
        if about["of"] not in self._intended():
            self.unrecorded.append(f"{what} {about['of']}")

    def _intended(self) -> set[str]:
        reading = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)
        try:
            rows = reading.execute("select type, data ->> 'replica' from events where type like 'act-%' order by seq")
            open_acts: set[str] = set()
            for type, replica in rows.fetchall():
                open_acts = open_acts | {replica} if type == "act-intended" else open_acts - {replica}
            return open_acts
        finally:
            reading.close()


def when(verb: str, type: str, then: Callable[[], object]) -> Callable[[Event], None]:
    """Do it at the first record of that kind."""
    waiting = [then]

    def heard(event: Event) -> None:
        if waiting and (event.type, event.data.get("verb")) == (type, verb):
            waiting.pop()()

    return heard


@pytest.mark.parametrize(
    ("type", "verb"), [("act-done", "retire"), ("act-intended", "create")], ids=["between two acts", "within an act"]
)
async def test_a_full_disk_ends_the_rollout_before_its_next_step_and_with_room_it_goes_on(
    tmp_path: Path, disk: Path, type: str, verb: str
) -> None:
    audit = Auditor(disk / "journal.db")
    with proxy_process(tmp_path) as proxy, new_fleet(tmp_path) as fleet, told_of(ProcessEngine, audit.point):
        fleet.disk = disk
        async with proxy.gateway() as gateway, held_lease(gateway, tmp_path):
            assert (await fleet.roll(gateway, V1)).ending is Ending.DONE
            load = Load(proxy.port, 4)
            async with load.running():
                with pytest.raises(JournalError) as told:
                    await fleet.roll(gateway, V2, V1, on_event=when(verb, type, lambda: fill(disk)))
                at_its_end = audit.effects
                await until(lambda: load.good > 50)
                assert audit.effects == at_its_end, "something was done after it had ended"
                assert_told(told.value, disk)

                (disk / "filler").unlink()
                assert (await fleet.roll(gateway, V2, V1)).ending is Ending.DONE
                assert await fleet.standing(gateway) == [("v2", "running", "ready")] * 2
        assert (load.bad, audit.unrecorded) == ([], [])
        assert audit.effects > at_its_end
        assert [d for it in (await fleet.replayed()).values() for d in it.differences] == []


def assert_told(error: JournalError, disk: Path) -> None:
    assert (error.id, error.exit_code) == ("journal-write", Exit.ENVIRONMENT)
    assert "full" in error.what
    assert error.where == str(disk / "journal.db")
    assert "make room" in error.fix
    assert "lab resume" in error.fix


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not reached():  # noqa: ASYNC110  nothing tells of it
            await asyncio.sleep(0.01)
