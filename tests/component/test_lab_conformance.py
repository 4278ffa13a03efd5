"""A real journal, replayed: the real proxy, processes for replicas, traffic, a kill, a way back; decided the same."""

import asyncio
import importlib
import signal
from pathlib import Path

import pytest

from lab.lease import held_lease
from lab.model import Ending
from tests.lab_world import ROOT, Fleet, ProxyProcess, command, new_fleet, proxy_process
from tests.proxy_world import PATIENCE, Load

V1, V2, NEVER_READY = 1, 2, 3
DECIDE = importlib.import_module("lab.planner.decide")


async def test_what_was_rolled_for_real_is_decided_the_same_by_the_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_process(tmp_path) as proxy, new_fleet(tmp_path) as fleet:
        load = Load(proxy.port, 4)
        async with proxy.gateway() as gateway:
            async with held_lease(gateway, tmp_path):
                assert (await fleet.roll(gateway, V1)).ending is Ending.DONE
            async with load.running():
                assert await killed(fleet, proxy, V2, after=11)
                async with held_lease(gateway, tmp_path):
                    assert (await fleet.roll(gateway, V2, V1)).ending is Ending.DONE
                    bad = await fleet.roll(gateway, NEVER_READY, V2, ready_timeout=0.4)
        assert (bad.ending, load.bad) == (Ending.ROLLED_BACK, [])
        again = await fleet.replayed()

        assert [str(d) for it in again.values() for d in it.differences] == []
        assert {run: it.beginnings for run, it in again.items()} == {"to-1-0": 1, "to-2-1": 2, "to-3-2": 1}
        with fleet.journal() as journal:
            assert sum(it.decided for it in again.values()) == len(journal.events())

        monkeypatch.setattr(DECIDE._Look, "_failures", lambda _: None)
        assert {run for run, it in (await fleet.replayed()).items() if it.differences} == {"to-3-2"}


async def killed(fleet: Fleet, proxy: ProxyProcess, target: int, *, after: int) -> bool:
    """Roll in a process of its own that kills itself after so many records."""
    words = command("roll", proxy.url, fleet.folder, fleet.port, target, fleet.replicas, after)
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT)
    return await asyncio.wait_for(process.wait(), 3 * PATIENCE) == -signal.SIGKILL
