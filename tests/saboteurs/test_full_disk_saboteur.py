"""P4: no step is taken that cannot be recorded. A controller that goes on without its journal is seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from lab.controller import Controller
from lab.errors import JournalError
from lab.model import Ending, Verb
from lab.ports import Event
from lab.sim import MemoryJournal
from tests.unit.rollout_world import V1, V2, Bench

PLENTY = 10_000


@dataclass(slots=True)
class SmallDisk:
    """A journal on a disk with room for so many records."""

    journal: MemoryJournal
    room: int
    refused: bool = False

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        if self.room == 0:
            self.refused = True
            raise JournalError(id="journal-write", what="the journal cannot be written: database or disk is full")
        self.room -= 1
        return self.journal.append(type, run, t_ns, data)

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        return self.journal.events(run=run, types=types)


def broken_by_a_full_disk() -> list[str]:
    """The check: the disk is full at each record in turn, and then there is room again."""
    broken: list[str] = []
    for room in range(PLENTY):
        bench = Bench(n=2).up()
        disk = SmallDisk(bench.journal, room)
        bench.journal = disk  # type: ignore[assignment]
        bench.world.on_act = _audit(disk, broken)
        try:
            bench.roll(V2, V1)
        except JournalError:
            disk.room = PLENTY
            ending = bench.roll(V2, V1).ending
            broken += [] if ending is Ending.DONE and bench.versions() == ["v2"] * 2 else [f"full at {room}: {ending}"]
        else:
            return broken if not disk.refused else [*broken, f"full at {room}, and it went on"]
        if broken:
            return broken
    return ["it never ended"]


def _audit(disk: SmallDisk, broken: list[str]) -> Callable[[Verb, str], None]:
    def audit(verb: Verb, name: str) -> None:
        acts = [e for e in disk.events(types=["act-intended", "act-done"]) if e.data["replica"] == name]
        if not acts or acts[-1].type != "act-intended":
            broken.append(f"{verb} {name} without its record")

    return audit


def test_wherever_the_disk_is_full_nothing_is_done_without_its_record_and_it_goes_on_later() -> None:
    assert broken_by_a_full_disk() == []


def test_a_controller_that_goes_on_without_its_journal_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Controller._note

    def careless(self: Controller, type: str, data: Mapping[str, Any]) -> None:
        try:
            sound(self, type, data)
        except JournalError:
            self._state.add(Event(type=type, run=self._rollout.run, t_ns=self._world.clock.now_ns(), data=data))

    monkeypatch.setattr(Controller, "_note", careless)
    assert any("without its record" in found for found in broken_by_a_full_disk())
