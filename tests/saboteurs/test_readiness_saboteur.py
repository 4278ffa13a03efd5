"""P2: whoever the proxy has not seen ready gets no request. A table or a prober that believes more is seen."""

from collections.abc import Collection
from pathlib import Path

import pytest

from proxy import prober
from proxy.routing import Claim, RoutingTable
from tests.lab_world import free_port
from tests.proxy_world import Replica, World, get, send, world

WAYS = ["says 503", "is another", "is seen by others only"]


async def joining(lab: World, way: str) -> Replica:
    """A replica that asks to join and that the proxy cannot see ready, whatever others see of it."""
    replica = await lab.replica("app-2.1")
    replica.ready = way != "says 503"
    if way == "is another":
        replica.identity = "app-2.9"
    if way == "is seen by others only":
        assert b"200 OK" in (await send(replica.port, get("/readyz"))).raw_head
        replica.port = free_port()
    await lab.join(replica)
    await lab.until(replica, lambda found: found["last_probe"] is not None)
    return replica


async def given(lab: World, replica: Replica) -> int:
    """The check: how many of some requests the replica was given."""
    for _ in range(6):
        await send(lab.port, get())
    claimed = (await lab.seen(replica))["claimed"]
    assert isinstance(claimed, int)
    return claimed


@pytest.mark.parametrize("way", WAYS)
async def test_a_replica_that_the_proxy_does_not_see_ready_is_given_nothing(tmp_path: Path, way: str) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1")
        replica = await joining(lab, way)
        assert await given(lab, replica) == 0
        await lab.change("POST", "/v1/replicas/app-2.1/admit", expect=409)


@pytest.mark.parametrize("way", WAYS)
async def test_a_table_that_picks_joining_replicas_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def picks_any(table: RoutingTable, exclude: Collection[str] = (), now_ns: int = 0) -> Claim:
        entry = min(table.entries.values(), key=lambda e: (e.route.replica in exclude, e.claimed))
        entry.in_flight += 1
        entry.claimed += 1
        return Claim(entry, entry.route.replica, table.epoch)

    monkeypatch.setattr(RoutingTable, "claim", picks_any)
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1")
        assert await given(lab, await joining(lab, way)) > 0


async def test_a_prober_that_believes_any_answer_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "verdict_on", lambda *_, **__: "")
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1")
        replica = await joining(lab, "is another")
        await lab.admit(replica)
        assert await given(lab, replica) > 0
