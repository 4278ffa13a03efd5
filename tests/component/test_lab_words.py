"""Words from a second terminal to a controller over the real proxy, under traffic: obeyed once, nothing lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.controller import Controller, Ended
from lab.gateway import ProxyGateway
from lab.inbox import put_word
from lab.journal import SqliteJournal
from lab.lease import held_lease
from lab.model import Command, Ending
from lab.ports import Event
from tests.lab_world import Fleet, ProxyProcess, new_fleet, proxy_process
from tests.proxy_world import Load

V1, V2 = 1, 2
RUN = "the-run"
SOON = 1.0
"""A generous ceiling: a word is to be seen within a tenth of a second."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> "Any":
    with proxy_process(tmp_path_factory.mktemp("words")) as process:
        yield process


@dataclass(slots=True)
class Terminal:
    """Gives its words one after the other, each when the rollout has come to where it waits for it."""

    journal: SqliteJournal
    script: list[tuple[Mapping[str, Any], Command, int | None]]
    run: str = RUN
    events: list[Event] = field(default_factory=list)
    put_at: dict[int, float] = field(default_factory=dict)
    answered_in: list[float] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        if number := event.data.get("answers"):
            self.answered_in.append(time.monotonic() - self.put_at[number])
        if self.script and self._is_there(event, self.script[0][0]):
            _, command, value = self.script.pop(0)
            which = {"replicas": value} if command is Command.SCALE else {"to": value}
            # nothing wakes the controller but the word itself
            asyncio.get_running_loop().call_later(0.15, self._put, command, which)

    def _put(self, command: Command, which: dict[str, int | None]) -> None:
        self.put_at[put_word(self.journal, self.run, command, **which)] = time.monotonic()

    @staticmethod
    def _is_there(event: Event, where: Mapping[str, Any]) -> bool:
        said = {"type": event.type, **event.data}
        return all(said.get(key) == value for key, value in where.items())

    @property
    def happened(self) -> list[str]:
        return [e.data["happening"] for e in self.events if e.type == "phase-changed"]


@asynccontextmanager
async def up(proxy: ProxyProcess, folder: Path) -> AsyncIterator[tuple[Fleet, ProxyGateway, SqliteJournal]]:
    """A fleet of v1 in rotation, the lease, and the journal as a second terminal opens it."""
    with new_fleet(folder) as fleet:
        async with proxy.gateway() as gateway, held_lease(gateway, folder):
            assert (await fleet.roll(gateway, V1)).ending is Ending.DONE
            second = SqliteJournal(folder / "journal.db")
            try:
                yield fleet, gateway, second
            finally:
                second.close()
                for route in (await gateway.routing()).routes:
                    await gateway.remove(route.name, lost=True)


JOINING = {"type": "act-done", "verb": "join"}
SERVES = {"type": "act-done", "verb": "delete"}
BAKES = {"happening": "wave-serves"}
PAUSED = {"happening": "paused"}
BACK = {"happening": "turned-back"}
PAUSE, RESUME, ABORT, ROLLBACK, SCALE = Command
Script = list[tuple[Mapping[str, Any], Command, int | None]]

WAYS: dict[str, tuple[Script, Ending, list[str], str | None]] = {
    "paused and resumed in a step": (
        [(JOINING, PAUSE, None), (PAUSED, RESUME, None)],
        Ending.DONE,
        ["paused", "resumed"],
        "v2",
    ),
    "paused and resumed in a bake": (
        [(BAKES, PAUSE, None), (PAUSED, RESUME, None)],
        Ending.DONE,
        ["paused", "resumed"],
        "v2",
    ),
    "rolled back in a step": ([(JOINING, ROLLBACK, None)], Ending.ROLLED_BACK, ["turned-back"], "v1"),
    "rolled back in a bake": ([(BAKES, ROLLBACK, None)], Ending.ROLLED_BACK, ["turned-back"], "v1"),
    "rolled back from a pause": (
        [(SERVES, PAUSE, None), (PAUSED, ROLLBACK, None)],
        Ending.ROLLED_BACK,
        ["paused", "turned-back"],
        "v1",
    ),
    "rolled back to a revision that is named": ([(SERVES, ROLLBACK, V1)], Ending.ROLLED_BACK, ["turned-back"], "v1"),
    "given up in a bake": ([(BAKES, ABORT, None)], Ending.ABORTED, ["aborted"], None),
    "given up from a pause": (
        [(SERVES, PAUSE, None), (PAUSED, ABORT, None)],
        Ending.ABORTED,
        ["paused", "aborted"],
        None,
    ),
    "given up on its way back": (
        [(SERVES, ROLLBACK, None), (BACK, ABORT, None)],
        Ending.ABORTED,
        ["turned-back", "aborted"],
        None,
    ),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_word_is_obeyed_at_once_wherever_the_rollout_is_and_drops_nothing(
    proxy: ProxyProcess, tmp_path: Path, way: str
) -> None:
    script, ending, happened, version = WAYS[way]
    async with up(proxy, tmp_path) as (fleet, gateway, second):
        terminal, load = Terminal(second, list(script)), Load(proxy.port, 3)
        bake = {"wave_bake": 30.0 if BAKES in [where for where, _, _ in script] and ending is not Ending.DONE else 0.5}
        async with load.running():
            ended = await fleet.roll(gateway, V2, V1, run=RUN, on_event=terminal.hear, **bake)
        standing = await fleet.standing(gateway)

    assert ended.ending is ending
    assert [h for h in terminal.happened if h in {"paused", "resumed", "turned-back", "aborted"}] == happened
    assert load.bad == []
    assert max(terminal.answered_in) < SOON
    assert [place for _, _, place in standing] == ["ready"] * 2
    assert version is None or {v for v, _, _ in standing} == {version}


async def test_a_fleet_grows_and_shrinks_in_the_middle_of_a_roll(proxy: ProxyProcess, tmp_path: Path) -> None:
    async with up(proxy, tmp_path) as (fleet, gateway, second):
        grows: Script = [(JOINING, SCALE, 3)]
        shrinks: Script = [(JOINING, SCALE, 1)]
        load = Load(proxy.port, 3)
        async with load.running():
            one = await fleet.roll(gateway, V2, V1, run="grows", on_event=Terminal(second, grows, "grows").hear)
            three = await fleet.standing(gateway)
            fleet.replicas = 3
            other = await fleet.roll(gateway, V1, V2, run="shrinks", on_event=Terminal(second, shrinks, "shrinks").hear)
        assert await fleet.standing(gateway) == [("v1", "running", "ready")]
    assert (one.ending, other.ending) == (Ending.DONE, Ending.DONE)
    assert three == [("v2", "running", "ready")] * 3
    assert load.bad == []


async def test_what_cannot_be_obeyed_is_refused_with_the_reason_and_the_rollout_goes_on(
    proxy: ProxyProcess, tmp_path: Path
) -> None:
    async with up(proxy, tmp_path) as (fleet, gateway, second):
        terminal = Terminal(second, [(JOINING, RESUME, None)])
        ended = await fleet.roll(gateway, V2, V1, run=RUN, on_event=terminal.hear)

    (refused,) = [e for e in terminal.events if e.type == "refused"]
    assert refused.data["why"] == "cannot resume a rollout that is rolling"
    assert ended.ending is Ending.DONE


class Killed(BaseException):
    """As SIGKILL would: nothing is written after it."""


@pytest.mark.parametrize("at", ["asked", "phase-changed"], ids=["before it is in the journal", "before it is answered"])
async def test_a_word_outlives_the_controller_that_read_it_and_is_obeyed_once(
    proxy: ProxyProcess, tmp_path: Path, at: str
) -> None:
    async with up(proxy, tmp_path) as (fleet, gateway, second):
        terminal = Terminal(second, [(JOINING, ROLLBACK, None)])
        with pytest.raises(Killed):
            await fleet.roll(
                gateway,
                V2,
                V1,
                run=RUN,
                on_event=terminal.hear,
                wrap=lambda journal: Deadly(journal, at),  # type: ignore[arg-type,return-value]
            )
        ended = await fleet.roll(gateway, V2, V1, run=RUN, on_event=terminal.hear)
        with fleet.journal() as journal:
            asked = journal.events(run=RUN, types=["asked"])
        assert await fleet.standing(gateway) == [("v1", "running", "ready")] * 2

    assert ended.ending is Ending.ROLLED_BACK
    assert [e.data["command"] for e in asked] == ["rollback"]
    assert terminal.happened.count("turned-back") == 1


@dataclass(slots=True)
class Deadly:
    """A journal whose writer is killed just before it writes such a record."""

    journal: Any
    at: str

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        if type == self.at:
            raise Killed
        event: Event = self.journal.append(type, run, t_ns, data)
        return event

    def events(self, **which: Any) -> list[Event]:
        events: list[Event] = self.journal.events(**which)
        return events


async def test_a_paused_rollout_that_was_interrupted_is_gone_on_with_by_another_run(
    proxy: ProxyProcess, tmp_path: Path
) -> None:
    async with up(proxy, tmp_path) as (fleet, gateway, second):
        controllers: list[Controller] = []
        terminal = Terminal(second, [(BAKES, PAUSE, None)])

        def hear(event: Event) -> None:
            terminal.hear(event)
            if event.data.get("happening") == "paused":
                controllers[0].interrupt()

        load = Load(proxy.port, 3)
        async with load.running():
            # it bakes until it hears the word: without, its second step may be done before
            first = await fleet.roll(gateway, V2, V1, run=RUN, on_event=hear, begin=controllers.append, wave_bake=30.0)
            mixed = {version for version, _, _ in await fleet.standing(gateway)}
            put_word(second, "another", Command.RESUME)
            later = Terminal(second, [], "another")
            later.put_at = dict.fromkeys(range(9), 0.0)
            ended: Ended = await fleet.roll(gateway, V2, V1, run="another", earlier=(RUN,), on_event=later.hear)
        assert await fleet.standing(gateway) == [("v2", "running", "ready")] * 2

    assert (first.ending, mixed, ended.ending) == (Ending.INTERRUPTED, {"v1", "v2"}, Ending.DONE)
    assert [e.data["reason"] for e in later.events if e.data.get("happening") == "resumed"] == ["asked by an operator"]
    assert [e for e in later.events if e.type == "refused"] == []
    assert load.bad == []
