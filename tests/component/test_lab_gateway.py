"""The gateway adapter against the real proxy: what it says follows the schema, what it is told becomes its words."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab import gateway as adapter
from lab.clock import measure_clock
from lab.errors import GatewayError
from lab.gateway import ProxyGateway
from lab.model import Container, EjectedBy, Health, Place
from lab.ports import Hold, Readiness, Route, Routing, Seen
from tests.lab_world import FAST, ME, ProxyProcess, Tap, proxy_process
from tests.proxy_world import PATIENCE, TOKEN, Replica, get, send


@asynccontextmanager
async def tapped(folder: Path) -> AsyncIterator[tuple[ProxyProcess, Tap, ProxyGateway]]:
    """A gateway that holds the lease. At the end everything said either way has the shape that was agreed."""
    with proxy_process(folder) as proxy:
        async with Tap(proxy.url).listening() as tap, ProxyGateway(tap.url, TOKEN) as gateway:
            await gateway.take_lease(ME, 60)
            yield proxy, tap, gateway
            assert tap.exchanges
            assert tap.misshapen() == []


def seen(replica: Replica) -> Seen:
    slot, generation = map(int, replica.name.removeprefix("app-").split("."))
    return Seen(
        name=replica.name,
        slot=slot,
        generation=generation,
        revision=1,
        version="v1",
        container=Container.RUNNING,
        container_id="c",
        address="127.0.0.1",
    )


def readiness(replica: Replica, **changes: float) -> Readiness:
    return replace(FAST, port=replica.port, **changes)  # type: ignore[arg-type]


async def route(gateway: ProxyGateway, name: str, holds: Callable[[Route], bool]) -> Route:
    async with asyncio.timeout(PATIENCE):
        while True:
            routing = await gateway.routing()
            for found in routing.routes:
                if found.name == name and holds(found):
                    return found
            await gateway.wait_for_change(routing.seq, 1.0)


@asynccontextmanager
async def replica_named(name: str) -> AsyncIterator[Replica]:
    replica = await Replica(name).start()
    try:
        yield replica
    finally:
        await replica.kill()


async def in_rotation(gateway: ProxyGateway, replica: Replica) -> None:
    await gateway.join(seen(replica), readiness(replica))
    await route(gateway, replica.name, lambda r: r.proven)
    await gateway.admit(replica.name)


async def test_a_replica_is_taken_through_its_whole_life(tmp_path: Path) -> None:
    async with tapped(tmp_path) as (proxy, _, gateway), replica_named("app-1.1") as replica:
        joined = await gateway.join(seen(replica), readiness(replica))
        found = await route(gateway, "app-1.1", lambda r: r.proven)
        assert (found.place, found.address, found.slot, found.generation) == (
            Place.JOINING,
            replica.address,
            1,
            1,
        )
        assert found.probe is not None
        assert (found.probe.ok, found.probe.status, found.probe.body) == (True, 200, "probe")

        admitted = await gateway.admit("app-1.1")
        assert (await send(proxy.port, get())).status == 200
        assert (await route(gateway, "app-1.1", lambda r: r.claimed == 1)).place is Place.READY

        retired = await gateway.retire("app-1.1", drain_timeout=2.5)
        gone = await route(gateway, "app-1.1", lambda r: r.place is Place.REMOVABLE)
        assert gone.retired_ns is not None
        assert gone.deadline_ns == gone.retired_ns + 2_500_000_000
        removed = await gateway.remove("app-1.1", lost=False)
        assert (await gateway.routing()).routes == ()
        assert joined < admitted < retired < removed


async def test_a_draining_replica_is_restored(tmp_path: Path) -> None:
    async with tapped(tmp_path) as (proxy, _, gateway), replica_named("app-1.1") as replica:
        await in_rotation(gateway, replica)
        replica._respond = replica.hold
        client = asyncio.create_task(send(proxy.port, get()))
        await replica.arrived.acquire()
        await gateway.retire("app-1.1", drain_timeout=30)
        await gateway.restore("app-1.1")
        found = await route(gateway, "app-1.1", lambda _: True)
        assert (found.place, found.in_flight, found.deadline_ns) == (Place.READY, 1, None)
        replica.held.release()
        assert (await client).status == 200


async def test_a_dead_replica_is_ejected_and_removed_as_lost(tmp_path: Path) -> None:
    async with tapped(tmp_path) as (_, _, gateway), replica_named("app-1.1") as replica:
        await in_rotation(gateway, replica)
        await replica.kill()
        found = await route(gateway, "app-1.1", lambda r: r.health is Health.EJECTED)
        assert found.probe is not None
        assert found.probe.status is None
        await gateway.remove("app-1.1", lost=True)
        await gateway.remove("app-1.1", lost=True)
        assert (await gateway.routing()).routes == ()


async def test_a_run_s_ledger_is_opened_and_closed(tmp_path: Path) -> None:
    async with tapped(tmp_path) as (_, _, gateway):
        await gateway.open_run("r1")
        assert (await gateway.routing()).run == "r1"
        await gateway.close_run()
        assert (await gateway.routing()).run is None
        assert (tmp_path / "proxy" / "r1" / "proxy.jsonl").read_text().count("\n") == 2


async def test_every_refusal_keeps_its_name(tmp_path: Path) -> None:
    async with tapped(tmp_path) as (_, tap, gateway), replica_named("app-1.1") as replica:
        replica.ready = False
        await gateway.join(seen(replica), readiness(replica))
        fence = gateway.fence
        await refused("not-proven", lambda: gateway.admit("app-1.1"))
        await refused("illegal-place", lambda: gateway.restore("app-1.1"))
        await refused("not-found", lambda: gateway.admit("app-9.1"))
        await refused("bad-request", lambda: gateway.open_run("no name"))
        await refused("lease-held", lambda: gateway.take_lease(ME, 60))
        gateway.fence = fence - 1
        await refused("stale-fence", lambda: gateway.retire("app-1.1", drain_timeout=1))
        gateway.fence = fence
        await gateway.give_back_lease()
        gateway.fence = fence
        await refused("no-lease", lambda: gateway.retire("app-1.1", drain_timeout=1))
        async with ProxyGateway(tap.url, "another token") as stranger:
            await refused("unauthorized", stranger.routing)


async def refused(id: str, call: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(GatewayError) as failure:
        await call()
    assert failure.value.id == id
    assert failure.value.what
    assert failure.value.where


REPLICA = {
    "replica": "app-1.1",
    "slot": 1,
    "generation": 1,
    "version": "v1",
    "address": "10.0.0.1:8080",
    "place": "ready",
    "health": "up",
    "proven": True,
    "in_flight": 4,
    "claimed": 9,
    "aborted": 0,
    "last_probe": None,
    "joined_ns": 1,
    "retired_ns": None,
    "deadline_ns": None,
}
STATE = {"seq": 1, "epoch": 1, "fence": 1, "now_ns": 1, "run": None, "lease": None}


async def routing_of(state: dict[str, object]) -> Routing:
    body = json.dumps(state).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with answering(head.encode() + body) as gateway:
        return await gateway.routing()


@pytest.mark.parametrize(
    ("health", "by"), [("unproven", None), ("ejected", EjectedBy.PROBE), ("ejected", EjectedBy.ERRORS)]
)
async def test_health_streams_and_what_is_held_are_understood(health: str, by: EjectedBy | None) -> None:
    more = {"health": health, "ejected_by": by, "streams": 1, "websockets": 2, "cut": 3}
    hold = {"on": True, "held": 5, "bytes": 600, "oldest_ms": 70, "later": "key"}
    routing = await routing_of(STATE | {"replicas": [REPLICA | more], "hold": hold})
    (found,) = routing.routes

    assert (found.health, found.ejected_by) == (Health(health), by)
    assert (found.streams, found.websockets, found.cut) == (1, 2, 3)
    assert routing.hold == Hold(on=True, held=5, bytes=600, oldest_ms=70)


async def test_what_an_older_proxy_does_not_say_is_nothing() -> None:
    routing = await routing_of(STATE | {"replicas": [REPLICA]})
    (found,) = routing.routes

    assert (found.streams, found.websockets, found.cut, found.ejected_by) == (0, 0, 0, None)
    assert routing.hold == Hold()


async def test_a_health_that_no_table_knows_is_no_proxy_of_ours() -> None:
    with pytest.raises(GatewayError) as failure:
        await routing_of(STATE | {"replicas": [REPLICA | {"health": "poorly"}]})
    assert failure.value.id == "proxy-strange"


async def test_a_proxy_that_is_gone_is_said_at_once_and_with_its_fix(tmp_path: Path) -> None:
    with proxy_process(tmp_path) as proxy:
        async with proxy.gateway() as gateway:
            await gateway.take_lease(ME, 60)
            waiting = asyncio.create_task(gateway.wait_for_change((await gateway.routing()).seq, 20.0))
            proxy.kill()
            async with asyncio.timeout(adapter.CALL_SECONDS / 2):
                for call in (lambda: waiting, gateway.routing, lambda: gateway.retire("app-1.1", drain_timeout=1)):
                    with pytest.raises(GatewayError) as failure:
                        await call()
                    assert failure.value.id == "proxy-gone"
                    assert "lab up" in failure.value.fix
                assert not await gateway.is_up()


async def test_a_proxy_that_hangs_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "CALL_SECONDS", 0.1)
    async with answering(b"") as gateway, asyncio.timeout(PATIENCE):
        with pytest.raises(GatewayError) as failure:
            await gateway.wait_for_change(0, 0.1)
        assert failure.value.id == "proxy-gone"


@pytest.mark.parametrize("body", [b"[]", b'{"epoch": 1, "fence": 1}'])
async def test_what_answers_in_another_shape_is_no_proxy_of_ours(body: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with answering(head.encode() + body) as gateway:
        with pytest.raises(GatewayError) as failure:
            await gateway.routing()
        assert failure.value.id == "proxy-strange"
        assert "lab up" in failure.value.fix


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[ProxyGateway]:
    """A gateway whose proxy says just this, and waits for the caller to leave."""
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        while await reader.read(1024):
            pass
        writer.transport.abort()
        left.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        async with ProxyGateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", TOKEN) as gateway:
            yield gateway
        await asyncio.wait_for(left.wait(), PATIENCE)


async def test_the_clock_is_the_proxy_s_within_the_error_it_states(tmp_path: Path) -> None:
    async with tapped(tmp_path) as (_, _, gateway):
        clock = await measure_clock(gateway)
        before = clock.now_ns()
        theirs = (await gateway.routing()).now_ns
        after = clock.now_ns()
        assert before - clock.error_ns <= theirs <= after + clock.error_ns


async def test_another_machine_s_clock_is_met_by_an_offset() -> None:
    ahead = 3_600_000_000_000

    class Elsewhere(ProxyGateway):
        async def now_ns(self) -> int:
            await asyncio.sleep(0)
            return time.monotonic_ns() + ahead

    clock = await measure_clock(Elsewhere("", ""))
    assert abs(clock.offset_ns - ahead) <= clock.error_ns + 1_000_000
