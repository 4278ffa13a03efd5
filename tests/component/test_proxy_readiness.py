"""P2: ready is what the proxy sees, on the path the requests take, k times in a row and unbroken."""

import asyncio
from pathlib import Path
from typing import Any

from tests.proxy_world import Received, eventually, get, send, world


async def test_a_replica_that_is_not_ready_gets_no_request(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        up = await lab.serve("app-1.1")
        late = await lab.replica("app-2.1")
        late.ready = False
        await lab.join(late)
        await lab.until(late, _probed)
        await lab.change("POST", "/v1/replicas/app-2.1/admit", expect=409)
        for _ in range(6):
            assert (await send(lab.port, get())).status == 200
        assert (len(up.requests), len(late.requests)) == (6, 0)
        late.ready = True
        await lab.until(late, lambda found: found["proven"])
        assert late.requests == []
        await lab.admit(late)
        for _ in range(6):
            await send(lab.port, get())
        assert 0 < len(late.requests) < 6


async def test_another_containers_answer_proves_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.replica("app-1.2")
        replica.identity = "app-1.1"
        await lab.join(replica)
        seen = await lab.until(replica, _probed)
        assert (seen["proven"], seen["last_probe"]["status"], seen["last_probe"]["body"]) == (False, 200, "probe")
        error = await lab.change("POST", "/v1/replicas/app-1.2/admit", expect=409)
        assert "app-1.1" in error["error"]["message"]


async def test_without_identity_any_200_is_ready(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.replica("app-1.2")
        replica.identity = "somebody"
        await lab.join(replica, identity=False)
        await lab.admit(replica)


async def test_the_last_probe_says_why_it_failed(tmp_path: Path) -> None:
    async def nothing(_request: Received, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        silent = await lab.replica("app-1.1", nothing)
        await lab.join(silent, path="/silent", timeout_ms=30)
        assert "30 ms" in (await lab.until(silent, _probed))["last_probe"]["error"]
        refused = await lab.replica("app-2.1")
        await refused.kill()
        await lab.join(refused)
        probe = (await lab.until(refused, _probed))["last_probe"]
        assert (probe["status"], probe["ok"]) == (None, False)
        assert "app-2.1" not in probe["body"]
        assert probe["error"]


async def test_a_replica_that_fails_its_probes_is_passed_over_until_one_passes(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        sick = await lab.replica("app-1.1")
        await lab.join(sick, interval_ms=10)
        await lab.admit(sick)
        well = await lab.serve("app-2.1")
        sick.ready = False
        seen = await lab.until(sick, lambda found: found["health"] == "ejected")
        assert seen["place"] == "ready"
        for _ in range(4):
            await send(lab.port, get())
        assert (len(sick.requests), len(well.requests)) == (0, 4)
        sick.ready = True
        await lab.until(sick, lambda found: found["health"] == "up")


async def test_when_all_fail_their_probes_the_ready_ones_are_asked_anyway(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.replica("app-1.1")
        await lab.join(replica, interval_ms=10)
        await lab.admit(replica)
        replica.ready = False
        await lab.until(replica, lambda found: found["health"] == "ejected")
        assert (await send(lab.port, get())).status == 200


async def test_a_probe_never_brings_a_draining_replica_back(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        await lab.retire(replica)
        entry = lab.server.gateway.table.entries["app-1.1"]
        passes = entry.standing.passes
        await eventually(lambda: entry.standing.passes >= passes + 2)
        assert (await lab.seen(replica))["place"] == "draining"
        replica.held.release()
        assert (await client).status == 200


def _probed(found: dict[str, Any]) -> bool:
    return found["last_probe"] is not None
