"""The load as the controller drives it: begun when `start` returns, its ledger closed when `stop` does."""

import asyncio
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab import traffic
from lab.errors import LabError
from lab.traffic import ContainerSource, HostSource, Load, LoadPlan
from tests.loadtest_world import ROOT, Stub, served
from tests.proxy_world import eventually

PLAN = LoadPlan(run="r1", rate=100, replicas=1, seed=1, max_seconds=20, deadline=2)


def source(stub: Stub, folder: Path) -> HostSource:
    return HostSource(port=stub.server.server_address[1], folder=folder, checkout=ROOT, fetch=lambda _run, _into: None)


def ledger(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "r1" / "client.jsonl").read_text().splitlines()]


async def test_a_load_has_begun_when_start_returns_and_has_closed_its_ledger_when_stop_does(tmp_path: Path) -> None:
    with served() as stub:
        load = Load(source(stub, tmp_path), PLAN)
        assert load.tick == {}
        await load.start()
        assert ledger(tmp_path)[0]["e"] == "header"
        await eventually(lambda: load.tick.get("finished", 0) > 20)
        await load.stop()
    lines = ledger(tmp_path)
    assert (lines[-1]["e"], lines[-1]["complete"]) == ("footer", True)
    assert {line["outcome"] for line in lines if line["e"] == "end"} == {"ok"}
    assert (load.tick["type"], load.tick["reason"]) == ("finished", "stopped")
    assert load.tick["offered"] == lines[-1]["offered"] == sum(line["e"] == "offer" for line in lines)


async def test_what_the_proxy_kept_of_the_run_is_brought_beside_the_load_s_own_ledger(tmp_path: Path) -> None:
    fetched: list[tuple[str, Path]] = []
    there = HostSource(port=1, folder=tmp_path, checkout=ROOT, fetch=lambda run, into: fetched.append((run, into)))
    await Load(there, PLAN).collect(tmp_path)
    assert fetched == [("r1", tmp_path)]


async def test_stopping_a_load_that_has_ended_by_itself_is_no_error(tmp_path: Path) -> None:
    with served() as stub:
        load = Load(source(stub, tmp_path), LoadPlan(run="r1", rate=50, replicas=1, seed=1, max_requests=5))
        await load.start()
        await eventually(lambda: load.tick.get("type") == "finished")
        await load.stop()
    assert load.tick["reason"] == "max-requests"


class Impatient(LoadPlan):
    """Gives a silent target half a second, as the load's own flag allows."""

    def arguments(self, target: str) -> list[str]:
        return [*super().arguments(target), "--answer-within-s", "0.3"]


async def test_a_target_that_never_answers_is_said_with_what_it_was_asked(tmp_path: Path) -> None:
    with served() as stub:
        stub.gate.clear()
        with pytest.raises(LabError) as failure:
            await Load(source(stub, tmp_path), Impatient(run="r1", rate=50, replicas=1, seed=1)).start()
        stub.gate.set()
    assert (failure.value.id, failure.value.where) == ("load", "run r1")
    assert "/livez did not answer" in failure.value.what


async def test_a_load_that_is_told_nonsense_says_it_in_its_own_last_words(tmp_path: Path) -> None:
    with served() as stub, pytest.raises(LabError, match="must match"):
        await Load(source(stub, tmp_path), LoadPlan(run="no name", rate=50, replicas=1, seed=1)).start()


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with served() as stub, pytest.raises(LabError, match="nowhere"):
        await Load(source(stub, tmp_path / "nowhere"), PLAN).start()


class Script:
    """A source whose load says just these lines, and then waits to be told to end."""

    def __init__(self, *lines: object) -> None:
        self._lines = lines
        self._read, self._write = os.pipe()
        self.stopped = False

    def start(self, _plan: LoadPlan) -> Iterable[bytes]:
        for line in self._lines:
            yield line if isinstance(line, bytes) else json.dumps(line).encode()
        with os.fdopen(self._read, "rb") as told:
            told.read()

    def adopt(self, plan: LoadPlan) -> Iterable[bytes] | None:
        return self.start(plan) if self._lines else None

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            os.close(self._write)

    def collect(self, run: str, into: Path) -> None: ...

    def last_words(self) -> str:
        return ""


async def test_a_failed_self_test_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "START_SECONDS", 0.1)
    script = Script({"type": "self-test", "ok": False, "injected": 10, "reported": 9})
    with pytest.raises(LabError, match="drops would be hidden"):
        await Load(script, PLAN).start()
    assert script.stopped


async def test_a_load_that_says_nothing_is_given_up_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may still begin after it was given up: nobody would stop it then."""
    monkeypatch.setattr(traffic, "START_SECONDS", 0.1)
    script = Script()
    with pytest.raises(LabError, match="nothing heard"):
        await Load(script, PLAN).start()
    assert script.stopped


async def test_what_is_no_line_of_the_load_is_passed_over() -> None:
    started = {"type": "started", "t": 1, "run": "r1", "rate": 1}
    script = Script(b"Traceback", b"7", b"[1]", started)
    load = Load(script, PLAN)
    await load.start()
    await load.stop()
    assert script.stopped


async def test_a_load_that_a_killed_controller_had_started_is_adopted_as_it_runs_and_ended_in_order() -> None:
    script = Script({"type": "started", "t": 1, "run": "r1", "rate": 1}, {"type": "tick", "t": 2, "finished": 9})
    load = Load(script, PLAN)

    assert await load.adopt()
    await eventually(lambda: load.tick.get("finished") == 9)
    await load.stop()
    assert script.stopped


async def test_where_there_is_no_load_to_adopt_none_is_stopped_or_waited_for() -> None:
    script = Script()
    load = Load(script, PLAN)

    assert not await load.adopt()
    async with asyncio.timeout(5):
        await load.stop()
    assert not script.stopped
    script.stop()


class Host:
    """An engine with one load, of the run `r1`."""

    def __init__(self) -> None:
        self.copied: list[str] = []

    def find(self, role: str, *, run: str) -> str | None:
        return "c" if (role, run) == ("load", "r1") else None

    def follow(self, container: str) -> list[bytes]:
        return [container.encode()]

    def copy_out(self, container: str, path: str, _into: Path) -> None:
        self.copied.append(f"{container}:{path}")


def test_only_the_load_of_the_same_run_is_adopted_and_what_it_wrote_is_read_where_it_is(tmp_path: Path) -> None:
    host: Any = Host()
    fetched: list[str] = []
    there = ContainerSource(host, image="load", compose_name="lab-x", fetch=lambda run, _into: fetched.append(run))

    assert there.adopt(replace(PLAN, run="another")) is None
    there.collect("another", tmp_path)
    assert there.adopt(PLAN) == [b"c"]
    there.collect("r1", tmp_path)

    assert (fetched, host.copied) == (["another"], ["c:/runs/r1"])
