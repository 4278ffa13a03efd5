"""P1: a request is claimed in one step; a retired replica gets none, and is removable only when nothing is left."""

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from proxy.pool import ConnectFailedError, Pool
from proxy.settings import Limits
from tests.proxy_world import Load, Received, World, connected, eventually, get, send, world


async def test_requests_in_flight_at_the_retirement_are_finished_and_only_then_is_it_removable(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        clients = [asyncio.create_task(send(lab.port, get(f"/{n}"))) for n in range(5)]
        for _ in clients:
            await replica.arrived.acquire()

        await lab.retire(replica)
        seen = await lab.seen(replica)
        assert (seen["place"], seen["in_flight"]) == ("draining", 5)

        for left in range(5, 0, -1):
            assert (await lab.seen(replica))["place"] == "draining", f"removable with {left} in flight"
            replica.held.release()
            await eventually(lambda left=left: lab.server.gateway.table.entries["app-1.1"].in_flight < left)
        seen = await lab.removable(replica)
        assert (seen["in_flight"], seen["idle"], seen["aborted"]) == (0, 0, 0)
        assert [client.status for client in await asyncio.gather(*clients)] == [200] * 5


async def test_a_retired_replica_is_given_no_request(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        old, new = await lab.serve("app-1.1"), await lab.serve("app-1.2")
        for _ in range(4):
            await send(lab.port, get())
        assert (len(old.requests), len(new.requests)) == (2, 2)
        await lab.retire(old)
        for _ in range(6):
            assert (await send(lab.port, get())).status == 200
        assert (len(old.requests), len(new.requests)) == (2, 8)


async def test_every_connection_is_closed_before_a_replica_is_removable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(8)]
        for _ in clients:
            await replica.arrived.acquire()
        for _ in range(6):
            replica.held.release()
        await eventually(lambda: lab.server.gateway.pools["app-1.1"].idle == 6)
        pool, table = lab.server.gateway.pools["app-1.1"], lab.server.gateway.table
        await lab.retire(replica)
        assert ((await lab.seen(replica))["idle"], (await lab.seen(replica))["in_flight"]) == (0, 2)
        replica.held.release()
        await eventually(lambda: table.entries["app-1.1"].in_flight == 1)
        assert pool.idle == 0, "a connection released by a draining replica was pooled"

        open_when_removable: list[int] = []
        emptied = table.emptied
        monkeypatch.setattr(
            table, "emptied", lambda name: open_when_removable.append(pool.connections) or emptied(name)
        )
        replica.held.release()
        await lab.removable(replica)
        assert open_when_removable == [0]
        assert replica.open_connections == 0
        await asyncio.gather(*clients)


async def test_retiring_again_is_the_same_drain_and_only_an_earlier_deadline_counts(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        first = await lab.retire(replica, deadline_ms=5_000)
        deadline = (await lab.seen(replica))["deadline_ns"]
        assert (await lab.retire(replica, deadline_ms=50_000))["epoch"] == first["epoch"]
        assert (await lab.seen(replica))["deadline_ns"] == deadline
        await lab.retire(replica, deadline_ms=1_000)
        assert (await lab.seen(replica))["deadline_ns"] < deadline
        replica.held.release()
        await lab.removable(replica)
        await lab.retire(replica)
        assert (await client).status == 200


async def test_at_the_deadline_a_request_without_an_answer_gets_504_and_is_counted(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        await lab.retire(replica, deadline_ms=50)
        answer = await client
        assert (answer.status, answer.headers["x-lab-proxy"]) == (504, "drain-deadline")
        seen = await lab.removable(replica)
        assert (seen["aborted"], seen["in_flight"]) == (1, 0)
        assert lab.ledger("r1")[-1]["result"] == "aborted_at_drain"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_at_the_deadline_an_answer_that_has_begun_is_cut_visibly(tmp_path: Path, version: str) -> None:
    async def endless(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await asyncio.Event().wait()

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", endless)
        async with connected(lab.port) as (reader, writer):
            writer.write(f"GET / HTTP/{version}\r\nHost: lab.test\r\n\r\n".encode())
            await reader.readuntil(b"hello")
            await lab.retire(replica, deadline_ms=50)
            if version == "1.0":
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            else:
                assert not (await reader.read()).endswith(b"0\r\n\r\n")
            assert (await lab.removable(replica))["aborted"] == 1


async def test_a_drain_can_be_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        replica = await lab.holding("app-1.1")
        client = asyncio.create_task(send(lab.port, get()))
        await replica.arrived.acquire()
        await lab.retire(replica)
        assert (await send(lab.port, get())).headers["x-lab-proxy"] == "no-ready-replica"
        await lab.change("POST", "/v1/replicas/app-1.1/restore")
        replica.held.release()
        replica.held.release()
        assert (await send(lab.port, get())).status == 200
        assert (await client).status == 200
        assert (await lab.seen(replica))["deadline_ns"] is None


async def roll_twenty_times(lab: World, *, wait_for_removable: bool, work_seconds: float) -> Load:
    """Swap one of two replicas twenty times under load; each old one dies at the step where it may be stopped."""

    async def works(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int(request.one("Content-Length")))
        await asyncio.sleep(work_seconds)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    serving = [await lab.serve("app-1.1", works), await lab.serve("app-2.1", works)]
    busy_retirements = 0
    load = Load(lab.port, clients=24)
    async with load.running():
        for cycle in range(20):
            serving.append(await lab.serve(f"app-{cycle % 2 + 1}.{cycle + 2}", works))
            old = serving.pop(0)
            busy_retirements += lab.server.gateway.table.entries[old.name].in_flight > 0
            await lab.retire(old)
            if wait_for_removable:
                await lab.removable(old)
            await old.kill()
            await lab.remove(old, lost=not wait_for_removable)
    assert busy_retirements, "nothing was ever in flight at a retirement: the roll shows nothing"
    return load


async def test_twenty_swaps_under_load_drop_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        load = await roll_twenty_times(lab, wait_for_removable=True, work_seconds=0.005)
        assert load.bad == []
        assert load.good > 200


async def test_a_connect_under_way_to_a_removed_replica_ends_there_and_never_reaches_who_gets_its_address_next():
    """The listener's queue is full, so a connect waits, as it does for the address of a container that is gone."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        with contextlib.ExitStack() as filling:
            for _ in range(4):
                one = filling.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(address)
            pool = Pool(f"127.0.0.1:{address[1]}", lambda: None)
            connecting = asyncio.create_task(pool.connect(3.0))
            done, _ = await asyncio.wait({connecting}, timeout=0.2)
            assert not done, "the connect was to wait"

            pool.abort()

            with pytest.raises(ConnectFailedError, match="route was removed"):
                await asyncio.wait_for(connecting, 1)
