"""With no replica ready, and while it is told to hold, the proxy keeps requests waiting: in order, bounded, gently."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_drains import comes_to
from tests.proxy_world import (
    PATIENCE,
    Answer,
    Load,
    Received,
    World,
    connected,
    eventually,
    get,
    read_answer,
    read_body,
    read_head,
    send,
    world,
)
from tests.proxy_ws import TEXT, Frame, echoes, encode, read_frame, upgrade


async def held(lab: World, count: int) -> dict[str, int]:
    """Wait until so many requests are held."""
    found: dict[str, int] = (await comes_to(lab.state, lambda state: state["hold"]["held"] == count))["hold"]
    return found


@contextlib.asynccontextmanager
async def waiting(lab: World, count: int) -> AsyncIterator[list[asyncio.Task[Answer]]]:
    """Send so many requests, one after the other, that all are held; what becomes of them is the test's."""
    before = (await lab.state())["hold"]["held"]
    tasks: list[asyncio.Task[Answer]] = []
    for number in range(count):
        tasks.append(asyncio.create_task(send(lab.port, get(f"/{number}"))))
        await held(lab, before + number + 1)
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hold(lab: World, **options: int) -> None:
    await lab.change("POST", "/v1/hold", **options)


async def release(lab: World, **options: int) -> None:
    await lab.change("POST", "/v1/release", **options)


async def test_with_no_replica_ready_a_request_waits_for_one(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        async with waiting(lab, 1) as (client,):
            replica = await lab.replica("app-1.1")
            await lab.join(replica)
            await lab.until(replica, lambda found: found["proven"])
            assert replica.requests == [], "proven is not yet admitted"
            await lab.admit(replica)
            assert (await client).status == 200
        await lab.change("DELETE", "/v1/run")
        assert [(line["e"], line.get("attempt")) for line in lab.ledger("r1")][1:3] == [("begin", 1), ("end", 1)]


async def test_they_are_released_in_the_order_they_came(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, waiting(lab, 30):
        replica = await lab.holding("app-1.1")
        await eventually(lambda: len(replica.requests) == 30)
        order = [int(request.target[1:]) for request in replica.requests]
        # the first sixteen are let go together, each on a connection that has to be made
        assert sorted(order[:16]) == list(range(16))
        assert order[16:] == list(range(16, 30))


async def test_a_client_that_leaves_is_held_no_longer_and_never_sent(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, waiting(lab, 3) as clients:
        clients[1].cancel()
        await held(lab, 2)
        replica = await lab.serve("app-1.1")
        await asyncio.gather(clients[0], clients[2])
        assert [request.target for request in replica.requests] == ["/0", "/2"]


async def test_over_the_count_the_next_one_is_turned_away_and_told_when_to_come_back(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_count=2)) as lab, waiting(lab, 2) as clients:
        answer = await send(lab.port, get())
        assert (answer.status, answer.headers["x-lab-proxy"]) == (503, "hold-full")
        assert int(answer.headers["retry-after"]) >= 1
        await lab.serve("app-1.1")
        assert [client.status for client in await asyncio.gather(*clients)] == [200, 200]


async def test_over_the_bytes_the_next_one_is_turned_away(tmp_path: Path) -> None:
    most, body = 256 * 1024, bytes(60_000)
    request = b"POST /upload HTTP/1.1\r\nHost: lab.test\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with world(tmp_path, limits=Limits(hold_bytes=most)) as lab:
        tasks = [asyncio.create_task(send(lab.port, request)) for _ in range(30)]
        done, kept = await asyncio.wait(tasks, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().headers["x-lab-proxy"] for task in done} == {"hold-full"}
        assert 0 < (await lab.state())["hold"]["bytes"] <= most
        replica = await lab.serve("app-1.1", _reads_all)
        answers = await asyncio.gather(*kept)
        assert {answer.status for answer in answers} <= {200, 503}
        assert len(replica.requests) == sum(answer.status == 200 for answer in answers) > 0


async def _reads_all(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request.body = await read_body(reader, request.headers)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


async def test_a_request_is_held_until_its_own_deadline(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0.3)) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        began = time.monotonic()
        answer = await send(lab.port, get("/", "X-Lab-Request-Id: late"))
        assert (answer.status, answer.headers["x-lab-proxy"]) == (504, "hold-timeout")
        assert time.monotonic() - began > 0.29
        assert (await lab.state())["hold"]["held"] == 0
        await lab.change("DELETE", "/v1/run")
        (line,) = [line for line in lab.ledger("r1") if line["e"] == "reject"]
        assert (line["id"], line["reason"], line["status"]) == ("late", "hold-timeout", 504)


async def test_without_holding_a_request_is_answered_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        answer = await send(lab.port, get())
        assert (answer.status, answer.headers["x-lab-proxy"]) == (503, "no-ready-replica")


async def test_told_to_hold_it_holds_though_replicas_are_ready_and_what_is_in_flight_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        before = asyncio.create_task(send(lab.port, get("/before")))
        await replica.arrived.acquire()
        await hold(lab)
        assert (await lab.state())["hold"]["on"]
        async with waiting(lab, 2) as clients:
            replica.held.release()
            assert (await before).status == 200
            assert [request.target for request in replica.requests] == ["/before"]
            await release(lab)
            for _ in clients:
                replica.held.release()
            assert [client.status for client in await asyncio.gather(*clients)] == [200, 200]
        assert not (await lab.state())["hold"]["on"]


async def test_told_to_hold_each_request_still_waits_no_longer_than_its_own_deadline(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0.1)) as lab:
        replica = await lab.serve("app-1.1")
        await hold(lab)
        assert (await send(lab.port, get())).headers["x-lab-proxy"] == "hold-timeout"
        await release(lab)
        assert (await send(lab.port, get())).status == 200
        assert len(replica.requests) == 1


async def test_holding_outlives_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await hold(lab)
        await lab.stop()
        await lab.start()
        assert (await lab.state())["hold"]["on"]
        await lab.until(replica, lambda found: found["health"] == "up")
        async with waiting(lab, 1) as (client,):
            assert replica.requests == []
            await release(lab)
            assert (await client).status == 200


async def test_nobody_holds_without_the_lease(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        error = await lab.call("POST", "/v1/hold", {"fence": lab.fence - 1}, expect=409)
        assert error["error"]["id"] == "stale-fence"
        await hold(lab)
        await lab.change("DELETE", "/v1/lease")
        error = await lab.call("POST", "/v1/release", {"fence": lab.fence}, expect=409)
        assert error["error"]["id"] == "no-lease"
        assert (await lab.state())["hold"]["on"]


async def test_the_release_is_no_burst(tmp_path: Path) -> None:
    """At most 16 in flight by the queue, then one more every 10 ms, for a replica that answers nothing."""
    arrived: list[float] = []

    async def silent(_request: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.append(time.monotonic())
        await asyncio.Event().wait()

    async with world(tmp_path) as lab, waiting(lab, 60):
        await lab.serve("app-1.1", silent)
        await eventually(lambda: len(arrived) == 60)
        assert arrived[-1] - arrived[0] > (60 - 16) * 0.010 * 0.8
        assert sum(each < arrived[0] + 0.005 for each in arrived) <= 24


async def test_those_that_come_later_stand_behind_those_that_are_held(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, waiting(lab, 40):
        replica = await lab.holding("app-1.1")
        await replica.arrived.acquire()
        late = asyncio.create_task(send(lab.port, get("/late")))
        await eventually(lambda: len(replica.requests) == 41)
        assert [request.target for request in replica.requests][-1] == "/late"
        late.cancel()
        await asyncio.gather(late, return_exceptions=True)


@pytest.mark.parametrize(
    ("fields", "sent", "body"),
    [
        ("Content-Length: 70000", b"x" * 70_000, b"x" * 70_000),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n", b"helloyou"),
    ],
    ids=["length", "chunked"],
)
async def test_a_held_body_arrives_whole(tmp_path: Path, fields: str, sent: bytes, body: bytes) -> None:
    async with world(tmp_path) as lab:
        head = f"POST /parcels HTTP/1.1\r\nHost: lab.test\r\n{fields}\r\n\r\n".encode()
        client = asyncio.create_task(send(lab.port, head + sent))
        await held(lab, 1)
        replica = await lab.serve("app-1.1", _reads_all)
        assert (await client).status == 200
        assert [request.body for request in replica.requests] == [body]


async def test_a_held_client_is_asked_for_its_body_only_when_there_is_who_takes_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, connected(lab.port) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        await held(lab, 1)
        line = asyncio.create_task(read_head(reader))
        done, _ = await asyncio.wait({line}, timeout=0.1)
        assert not done, "100 although nobody may be asked"
        await lab.serve("app-1.1", _reads_all)
        assert (await line)[0][1] == "100"
        writer.write(b"body")
        assert (await read_answer(reader)).status == 200


async def test_a_websocket_is_held_before_its_handshake(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, connected(lab.port) as (reader, writer):
        writer.write(upgrade())
        await held(lab, 1)
        await lab.serve("app-1.1", echoes)
        assert (await read_head(reader))[0][1] == "101"
        writer.write(encode(Frame(TEXT, b"hello"), masked=True))
        assert await read_frame(reader) == Frame(TEXT, b"hello")


async def test_while_it_holds_the_admin_api_says_so_and_is_well(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        await hold(lab)
        async with waiting(lab, 2):
            assert (await lab.call("GET", "/v1/health"))["status"] == "ok"
            seen = await held(lab, 2)
            assert (seen["on"], seen["oldest_ms"] >= 0) == (True, True)
            assert (await lab.seen(replica))["health"] == "up"
            await release(lab)
            await held(lab, 0)


async def test_holding_and_letting_go_under_load_costs_no_request(tmp_path: Path) -> None:
    """A request that has passed the gate when the last replica leaves waits too: it is not answered 503."""
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", _reads_all)
        load = Load(lab.port, clients=16)
        async with load.running():
            for _ in range(10):
                good = load.good
                await hold(lab)
                await lab.retire(replica)
                await lab.removable(replica)
                await lab.remove(replica)
                await lab.join(replica)
                await lab.admit(replica)
                await release(lab)
                await eventually(lambda good=good: load.good > good + 20)
        assert load.bad == []


async def test_a_fleet_of_one_is_replaced_stop_first_and_nothing_is_dropped(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", _works)
        load, busy = Load(lab.port, clients=12), 0
        async with load.running():
            for generation in range(2, 8):
                good = load.good
                await lab.retire(replica)
                busy += (await lab.seen(replica))["in_flight"] > 0
                await lab.removable(replica)
                await replica.kill()
                await lab.remove(replica)
                replica = await lab.serve(f"app-1.{generation}", _works)
                await eventually(lambda good=good: load.good > good + 24)
        assert load.bad == []
        assert busy, "nothing was ever in flight at a retirement: this shows nothing"


async def _works(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_body(reader, request.headers)
    await asyncio.sleep(0.02)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


async def test_all_replicas_are_recreated_at_once_and_nothing_is_dropped(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        fleet = [await lab.serve(f"app-{slot}.1", _works) for slot in (1, 2, 3)]
        load = Load(lab.port, clients=12)
        async with load.running():
            await eventually(lambda: load.good > 12)
            for replica in fleet:
                await lab.retire(replica)
            for replica in fleet:
                await lab.removable(replica)
                await replica.kill()
                await lab.remove(replica)
            good = load.good
            for slot in (1, 2, 3):
                await lab.serve(f"app-{slot}.2", _works)
            await eventually(lambda: load.good > good + 24)
        assert load.bad == []
