"""P8 and the admin API: one writer, refusals by name, a state that can be followed, ledgers that can be read."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.settings import Limits
from tests.proxy_world import (
    OWNER,
    READINESS,
    World,
    admin_schema,
    eventually,
    get,
    ledger_schema,
    send,
    world,
)

OTHER = {**OWNER, "pid": 2, "command": "lab rollback"}


async def _take(lab: World, owner: dict[str, Any], *, expect: int = 200, **fields: int) -> dict[str, Any]:
    return await lab.call("POST", "/v1/lease", {"owner": owner, "ttl_ms": 60_000, **fields}, expect=expect)


async def _refused(lab: World, method: str, path: str, status: int, **fields: Any) -> str:
    error = await lab.call(method, path, fields, expect=status)
    admin_schema("error").validate(error)
    return str(error["error"]["id"])


async def test_a_second_writer_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        error = await _take(lab, OTHER, expect=409)
        admin_schema("error").validate(error)
        found = error["error"]
        assert (found["id"], found["holder"], found["fence"]) == ("lease-held", OWNER, lab.fence)
        assert 0 < found["expires_in_ms"] <= 60_000


async def test_a_lease_is_taken_over_only_against_the_fence_that_was_looked_at(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        old = lab.fence
        assert (await _take(lab, OTHER, expect=409, replace_fence=old + 5))["error"]["id"] == "lease-held"
        taken = await _take(lab, OTHER, replace_fence=old)
        admin_schema("lease-granted").validate(taken)
        assert taken["fence"] == old + 1
        assert (await _take(lab, OTHER, expect=409, replace_fence=old))["error"]["id"] == "lease-held"
        assert await _refused(lab, "PUT", "/v1/run", 409, fence=old, run="r1") == "stale-fence"
        assert (await _take(lab, OWNER, expect=409, fence=old))["error"]["id"] == "lease-held"
        await lab.call("PUT", "/v1/run", {"fence": old + 1, "run": "r1"})


async def test_without_a_live_lease_nothing_changes(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await lab.change("DELETE", "/v1/lease")
        for method, path, fields in (
            ("POST", "/v1/replicas/app-1.1/retire", {"deadline_ms": 1}),
            ("DELETE", "/v1/replicas/app-1.1", {"lost": True}),
            ("PUT", "/v1/run", {"run": "r1"}),
        ):
            assert await _refused(lab, method, path, 409, fence=lab.fence, **fields) == "no-lease"
        assert (await lab.seen(replica))["place"] == "ready"
        assert (await lab.state())["lease"] is None
        assert (await _take(lab, OTHER))["fence"] == lab.fence + 1


async def test_a_lease_that_ran_out_can_be_renewed_until_somebody_takes_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await _take(lab, OWNER, fence=lab.fence)
        renewed = await lab.call("POST", "/v1/lease", {"owner": OWNER, "ttl_ms": 1, "fence": lab.fence})
        assert renewed["fence"] == lab.fence
        await asyncio.sleep(0.005)
        assert await _refused(lab, "PUT", "/v1/run", 409, fence=lab.fence, run="r1") == "no-lease"
        await _take(lab, OWNER, fence=lab.fence)
        await lab.change("PUT", "/v1/run", run="r1")


async def test_everything_but_health_needs_the_token(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, aiohttp.ClientSession() as anyone:
        base = f"http://127.0.0.1:{lab.server.admin_port}"
        async with anyone.get(f"{base}/v1/health") as response:
            assert (response.status, await response.json()) == (
                200,
                {"status": "ok", "holding": False, "candidates": 0},
            )
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer sécret"}):
            for method, path in (("GET", "/v1/state"), ("PUT", "/v1/run"), ("GET", "/v1/nothing")):
                async with anyone.request(method, base + path, headers=headers) as response:
                    assert (response.status, (await response.json())["error"]["id"]) == (401, "unauthorized")


async def test_refusals_say_what_is_wrong(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        join = {"fence": lab.fence, "slot": 1, "generation": 1, "version": "v1", "address": "127.0.0.1:1"}
        bad: list[tuple[str, str, int, str, dict[str, Any]]] = [
            ("POST", "/v1/replicas/app-9.9/admit", 404, "not-found", {"fence": lab.fence}),
            ("GET", "/v1/nothing", 404, "not-found", {}),
            ("POST", "/v1/state", 405, "bad-request", {}),
            ("GET", "/v1/state?since=x", 400, "bad-request", {}),
            ("POST", "/v1/lease", 400, "bad-request", {"owner": {}, "ttl_ms": 1}),
            ("PUT", "/v1/run", 400, "bad-request", {"fence": lab.fence, "run": "../x"}),
            ("PUT", "/v1/replicas/app-1.1", 400, "bad-request", {**join, "readiness": {}}),
            ("PUT", "/v1/replicas/app-1.1", 400, "bad-request", {**join, "address": "x", "readiness": READINESS}),
        ]
        for method, path, status, id_, fields in bad:
            assert await _refused(lab, method, path, status, **fields) == id_, path
        replica = await lab.replica("app-1.1")
        replica.ready = False
        await lab.join(replica)
        error = await lab.change("POST", "/v1/replicas/app-1.1/admit", expect=409)
        assert error["error"]["id"] == "not-proven"
        assert await _refused(lab, "POST", "/v1/replicas/app-1.1/restore", 409, fence=lab.fence) == "illegal-place"


async def test_the_state_has_its_shape_and_can_be_followed(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        state = await lab.state()
        admin_schema("state").validate(state)
        waiting = asyncio.create_task(lab.call("GET", f"/v1/state?since={state['seq']}&wait_ms=9000"))
        started = time.monotonic()
        acknowledged = await lab.retire(replica)
        admin_schema("acknowledged").validate(acknowledged)
        followed = await waiting
        assert followed["seq"] > state["seq"]
        assert time.monotonic() - started < 5
        assert acknowledged["epoch"] > state["epoch"]
        same = await lab.call("GET", f"/v1/state?since={(await lab.removable(replica)) and 10**9}&wait_ms=30")
        assert same["replicas"][0]["place"] == "removable"


async def test_removing_what_is_gone_is_success_and_what_serves_needs_to_be_lost(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        assert await _refused(lab, "DELETE", "/v1/replicas/app-1.1", 409, fence=lab.fence) == "illegal-place"
        await lab.remove(replica, lost=True)
        await lab.remove(replica)
        assert (await lab.state())["replicas"] == []


async def test_a_lost_replica_takes_its_requests_with_it_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        await lab.remove(replica, lost=True)
        assert (await client).headers["x-lab-proxy"] == "upstream-closed"


async def test_every_line_of_the_ledger_is_as_agreed_and_every_begin_has_its_end(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await send(lab.port, get("/none", "X-Lab-Request-Id: early"))
        replica = await lab.serve("app-1.1")
        for number in range(3):
            await send(lab.port, get("/a?b", f"X-Lab-Request-Id: id-{number}"))
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.change("DELETE", "/v1/run")
        await lab.change("PUT", "/v1/run", run="r1")
        await send(lab.port, get("/last"))
        await eventually(lambda: lab.ledger("r1")[-1]["e"] == "end")
        for line in lab.raw_ledger("r1"):
            ledger_schema().validate(line)
        lines = lab.ledger("r1")
        kinds = [line["e"] for line in lines]
        assert kinds == ["header", "reject", *["begin", "end"] * 3, "footer", "begin", "end"]
        assert [line["reused"] for line in lines if line["e"] == "begin"] == [False, True, True, True]
        assert lines[2]["path"] == "/a?b"
        assert lines[2]["epoch"] == (await lab.state())["epoch"]
        assert next(line["attempts"] for line in lines if line["e"] == "footer") == 3
        assert len(replica.requests) == 4


@pytest.mark.parametrize("cut", [b"", b'{"e":"beg'])
async def test_a_ledger_cut_by_a_crash_is_continued_on_a_line_of_its_own(tmp_path: Path, cut: bytes) -> None:
    folder = tmp_path / "runs" / "r1"
    folder.mkdir(parents=True)
    (folder / "proxy.jsonl").write_bytes(b'{"e":"header"}\n{"e":"begin","id":"a"}\n' + cut)
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        await lab.change("DELETE", "/v1/run")
    lines = (folder / "proxy.jsonl").read_bytes().splitlines()
    assert lines[:3] == [b'{"e":"header"}', b'{"e":"begin","id":"a"}', *([cut] if cut else lines[2:3])]
    assert lines[-1].endswith(b'"attempts":1}')
