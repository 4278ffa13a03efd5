"""What a restarted proxy knows, what it refuses, and how it leaves."""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path

import pytest

from proxy.errors import RefusedStartError
from proxy.statefile import StateFile
from tests.proxy_world import PATIENCE, World, connected, environment, get, read_answer, send, world


async def _again(lab: World) -> None:
    await lab.stop()
    await lab.start()


async def test_the_routes_the_fence_the_lease_and_the_run_outlive_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        joining = await lab.replica("app-2.1")
        await lab.join(joining)
        await lab.change("PUT", "/v1/run", run="r1")
        before = await lab.state()
        await _again(lab)
        after = await lab.state()
        for key in ("epoch", "fence", "run"):
            assert after[key] == before[key], key
        assert after["seq"] > before["seq"]
        assert after["lease"]["owner"] == before["lease"]["owner"]
        assert [each["place"] for each in after["replicas"]] == ["ready", "joining"]
        assert (await send(lab.port, get())).status == 200
        await lab.until(replica, lambda found: found["health"] == "up")
        await lab.admit(joining)
        assert [line["e"] for line in lab.ledger("r1")] == ["header", "restarted", "begin", "end"]


async def test_a_restored_replica_is_not_up_before_a_probe_has_passed(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1")
        gone = await lab.serve("app-2.1")
        await gone.kill()
        await lab.stop()
        await lab.start()
        assert [each["health"] for each in (await lab.state())["replicas"]][1] == "unproven"
        await lab.until(lab.replicas[0], lambda found: found["health"] == "up")
        assert [(await send(lab.port, get())).status for _ in range(4)] == [200] * 4
        assert (await lab.seen(gone))["claimed"] == 0


async def test_a_drain_is_finished_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        await lab.retire(replica)
        await _again(lab)
        await lab.removable(replica)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client


async def test_a_fence_never_falls(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        before = lab.fence
        await lab.change("DELETE", "/v1/lease")
        await _again(lab)
        assert await lab.lease() == before + 1


async def test_a_change_that_cannot_be_written_down_is_not_made(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        before = await lab.state()
        state = tmp_path / "state"
        state.rename(tmp_path / "elsewhere")
        error = await lab.change("POST", "/v1/replicas/app-1.1/retire", deadline_ms=1, expect=500)
        assert error["error"]["id"] == "not-saved"
        assert (await lab.state())["epoch"] == before["epoch"]
        assert (await send(lab.port, get())).status == 200
        (tmp_path / "elsewhere").rename(state)
        await lab.retire(replica)


async def test_the_acknowledged_retirement_is_on_disk(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        acknowledged = await lab.retire(replica)
        kept = json.loads((tmp_path / "state" / "routes.json").read_text())
        assert (kept["epoch"], kept["routes"][0]["place"]) == (acknowledged["epoch"], "draining")
        replica.held.release()
        await client


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"schema": "lab.proxy-routes/1"}', '{"schema": "lab.proxy-routes/9"}']
)
def test_no_state_is_made_up_from_an_unreadable_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "routes.json").write_text(content)
    with pytest.raises(RefusedStartError, match=r"routes\.json"):
        StateFile(tmp_path).load()


async def test_an_unreadable_state_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    content = '{"schema": "lab.proxy-'
    (tmp_path / "routes.json").write_text(content)
    process = await _proxy(tmp_path)
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 3
    assert "routes.json" in said.decode()
    assert "Traceback" not in said.decode()
    assert (tmp_path / "routes.json").read_text() == content


async def test_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    process = await _proxy(tmp_path, LAB_ADMIN_TOKEN="")
    _, said = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert (process.returncode, b"LAB_ADMIN_TOKEN" in said) == (3, True)


async def test_sigterm_ends_an_idle_proxy_with_success(tmp_path: Path) -> None:
    process = await _proxy(tmp_path)
    assert process.stderr is not None
    assert b"serving on" in await asyncio.wait_for(process.stderr.readline(), PATIENCE)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0


async def test_a_proxy_that_stops_accepts_nothing_more_and_finishes_what_is_in_flight(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        port = lab.port
        async with connected(port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 4\r\n\r\nab")
            await replica.arrived.acquire()
            stopping = asyncio.create_task(lab.stop(seconds=5))
            await _refused(port)
            writer.write(b"cd")
            replica.held.release()
            answer = await read_answer(reader)
            assert (answer.status, answer.headers["connection"], answer.body) == (200, "close", b"hello")
            await stopping


async def _refused(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            while True:
                async with connected(port):
                    pass


async def _proxy(folder: Path, **changes: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "proxy",
        env=environment(folder, **changes),
        stderr=asyncio.subprocess.PIPE,
    )
