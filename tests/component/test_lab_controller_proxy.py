"""The controller over the real proxy and real processes, under traffic: nothing is dropped, whoever is killed."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.model import Ending
from lab.ports import Event
from tests.lab_world import ROOT, Fleet, ProxyProcess, command, new_fleet, proxy_process
from tests.proxy_world import PATIENCE, Load

V1, V2, NEVER_READY, DIES = 1, 2, 3, 4
CLIENTS = 6


@asynccontextmanager
async def traffic(proxy: ProxyProcess) -> AsyncIterator[Load]:
    load = Load(proxy.port, CLIENTS)
    async with load.running():
        yield load
    assert load.good > 20


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[tuple[Fleet, ProxyProcess, ProxyGateway]]:
    """A fleet of v1 in rotation, and a gateway that holds the lease."""
    with proxy_process(folder) as proxy, new_fleet(folder) as fleet:
        async with proxy.gateway() as gateway, held_lease(gateway, folder):
            assert (await fleet.roll(gateway, V1)).ending is Ending.DONE
            yield fleet, proxy, gateway


def serving(version: str) -> list[tuple[str, str, str]]:
    return [(version, "running", "ready")] * 2


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1)], ids=["start-first", "stop-first"])
async def test_a_roll_and_the_way_back_drop_nothing(tmp_path: Path, surge: int, unavailable: int) -> None:
    async with up(tmp_path) as (fleet, proxy, gateway):
        async with traffic(proxy) as load:
            there = await fleet.roll(gateway, V2, V1, surge=surge, unavailable=unavailable)
            assert await fleet.standing(gateway) == serving("v2")
            back = await fleet.roll(gateway, V1, V2, surge=surge, unavailable=unavailable)
        assert load.bad == []
        assert (there.ending, back.ending) == (Ending.DONE, Ending.DONE)
        assert await fleet.standing(gateway) == serving("v1")


async def test_without_the_wait_for_the_drain_this_very_traffic_is_cut(tmp_path: Path) -> None:
    """The saboteur of what the other tests here say: their replicas do cut what is in flight."""
    async with up(tmp_path) as (fleet, proxy, gateway):
        async with traffic(proxy) as load:
            for target in (V2, V1) * 4:
                await fleet.roll(gateway, target, V1, wait_for_drain=False)
                if load.bad:
                    break
        assert load.bad


async def test_a_version_that_is_never_ready_is_given_no_request_and_leaves_the_fleet_as_it_was(
    tmp_path: Path,
) -> None:
    async with up(tmp_path) as (fleet, proxy, gateway):
        events: list[Event] = []
        async with traffic(proxy) as load:
            ended = await fleet.roll(gateway, NEVER_READY, V1, ready_timeout=0.4, on_event=events.append)
        assert load.bad == []
        assert (fleet.engine.requests_of("app-1.1") > 0, fleet.engine.requests_of("app-1.2")) == (True, 0)
        assert ended.ending is Ending.ROLLED_BACK
        assert ended.reason == "app-1.2 never became ready within 0.4s"
        assert ended.detail == "last probe: 503 not yet"
        assert ended.log == ("serving",)
        assert await fleet.standing(gateway) == serving("v1")
        assert {e.data["replica"] for e in events if e.type == "act-done"} == {"app-1.2", "app-2.2"}
        prepared = [e.data["verb"] for e in events if e.type == "act-done" and e.data["replica"] == "app-2.2"]
        assert prepared == ["create", "delete"], "made ahead, never started, and taken away"


async def test_a_version_that_ends_at_its_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    async with up(tmp_path) as (fleet, proxy, gateway):
        async with traffic(proxy) as load:
            ended = await fleet.roll(gateway, DIES, V1, surge=0, unavailable=1)
        assert load.bad == []
        assert ended.ending is Ending.ROLLED_BACK
        assert "ended before it was ever ready" in ended.reason
        assert ended.log == ("cannot serve: the version is broken",)
        assert await fleet.standing(gateway) == serving("v1")


async def test_a_replica_that_is_killed_is_made_good(tmp_path: Path) -> None:
    async with up(tmp_path) as (fleet, _, gateway):
        events: list[Event] = []

        def kill_the_last(event: Event) -> None:
            if not events:
                fleet.engine.signal("app-2.1", signal.SIGKILL)
            events.append(event)

        assert (await fleet.roll(gateway, V2, V1, on_event=kill_the_last)).ending is Ending.DONE
        assert [e.data["replica"] for e in events if e.type == "replica-died"] == ["app-2.1"]
        assert await fleet.standing(gateway) == serving("v2")


async def test_a_proxy_that_is_gone_pauses_the_rollout(tmp_path: Path) -> None:
    async with up(tmp_path) as (fleet, proxy, gateway):

        def kill_the_proxy(event: Event) -> None:
            if event.type == "act-done":
                proxy.kill()

        ended = await fleet.roll(gateway, V2, V1, on_event=kill_the_proxy)
        assert ended.ending is Ending.PAUSED_BY_ENVIRONMENT
        assert "the proxy does not answer" in ended.reason
        assert [seen.name for seen in await fleet.engine.replicas()] == ["app-1.1", "app-1.2", "app-2.1", "app-2.2"]


DEATHS = {
    12: ("act-done", "retire"),
    1: ("act-intended", "create"),
    23: ("act-intended", "admit"),
    14: ("act-done", "stop"),
}


async def test_a_controller_that_is_killed_anywhere_is_followed_by_one_that_ends_the_same(tmp_path: Path) -> None:
    """P4: each roll is killed after another record of its journal, and a second command finishes it."""
    with proxy_process(tmp_path) as proxy, new_fleet(tmp_path) as fleet:
        assert await roll(fleet, proxy, V1) == "done"
        async with proxy.gateway() as gateway, traffic(proxy) as load:
            for (records, last), target in zip(DEATHS.items(), (V2, V1, V2, V1), strict=True):
                assert await roll(fleet, proxy, target, kill_at=records) == "killed"
                assert last_record(fleet) == last
                assert await roll(fleet, proxy, target) == "done", last
                assert await fleet.standing(gateway) == serving(f"v{target}"), last
                assert load.bad == [], last
    created = fleet.engine.ever_created()
    assert len(created) == len(set(created)), "a name was given to two replicas"


def last_record(fleet: Fleet) -> tuple[str, str]:
    with fleet.journal() as journal:
        last = journal.events()[-1]
    return last.type, last.data["verb"]


async def roll(fleet: Fleet, proxy: ProxyProcess, target: int, *, kill_at: int = 0) -> str:
    """Roll in a process of its own; return how it ended."""
    words = command("roll", proxy.url, fleet.folder, fleet.port, target, fleet.replicas, kill_at)
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdout=subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 3 * PATIENCE)
    return "killed" if process.returncode == -signal.SIGKILL else said.decode().strip()
