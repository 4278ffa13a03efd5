"""The counts on /metrics add up at every moment: what was accepted has an outcome or is still in flight."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp

from proxy.settings import Limits
from tests.proxy_attempts import attempts, closes, first_attempt, hello, pair
from tests.proxy_drains import comes_to
from tests.proxy_metrics import Scrape, scrape, settled
from tests.proxy_world import TOKEN, Received, World, connected, eventually, get, send, world
from tests.proxy_ws import echoes, tunnel


async def test_every_request_is_counted_once_and_by_how_it_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        before = await scrape(lab)
        await lab.serve("app-1.1", hello)
        for _ in range(10):
            await send(lab.port, get())
        after = await settled(lab)
        assert after.one("requests_accepted_total") - before.one("requests_accepted_total") == 10
        assert after.total("requests_total") - before.total("requests_total") == 10
        assert after.adds_up


async def test_what_is_held_is_in_flight_too(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(3)]
        found = await comes_to(lambda: scrape(lab), lambda found: found.one("requests_held") == 3)
        assert found.one("requests_in_flight") == 3
        assert found.adds_up
        replica = await lab.serve("app-1.1")
        await asyncio.gather(*clients)
        found = await settled(lab)
        assert (found.one("requests_held"), found.one("replica_in_flight", replica.name)) == (0, 0)


async def test_a_replica_s_own_count_is_what_it_has(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        clients = [asyncio.create_task(send(lab.port, get())) for _ in range(4)]
        for _ in clients:
            await replica.arrived.acquire()
        assert (await scrape(lab)).one("replica_in_flight", "app-1.1") == 4
        for _ in clients:
            replica.held.release()
        await asyncio.gather(*clients)
        await lab.retire(replica)
        await lab.removable(replica)
        await lab.remove(replica)
        assert ("lab_proxy_replica_in_flight", "app-1.1") not in (await scrape(lab)).values


async def test_a_retry_is_an_attempt_in_the_ledger_and_in_the_metrics_and_no_second_request(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        dead, _ = await pair(lab, first_attempt(closes))
        for _ in range(4):
            await send(lab.port, get())
        await dead.kill()
        for _ in range(4):
            await send(lab.port, get())
        found = await settled(lab)
        again = sum(len(lines) - 1 for lines in (await attempts(lab)).values())
        assert found.total("retries_total") == again >= 4
        assert found.one("requests_accepted_total") == 8
        assert found.one("ledger_lost_lines_total") == 0


async def test_nobody_reads_them_without_the_token_nor_on_the_data_port(tmp_path: Path) -> None:
    async with world(tmp_path) as lab, aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{lab.server.admin_port}/metrics") as response:
            assert response.status == 401
        replica = await lab.serve("app-1.1")
        assert (await send(lab.port, get("/metrics", f"Authorization: Bearer {TOKEN}"))).body == b"hello"
        assert [request.target for request in replica.requests] == ["/metrics"]


async def test_at_every_scrape_under_every_kind_of_traffic_they_add_up(tmp_path: Path) -> None:
    """Good and failed, slow and left, held and refused, streams and WebSockets, while a replica is replaced."""
    limits = Limits(hold_seconds=0.2, hold_count=4)
    async with world(tmp_path, limits=limits) as lab, asyncio.TaskGroup() as group:
        replica = await lab.serve("app-1.1", _everything)
        done = asyncio.Event()
        for make in (_good, _lost, _left, _streamed, _tunnelled, _malformed) * 2:
            group.create_task(_for_ever(make, lab, done))
        scrapes: list[Scrape] = []
        for generation in range(2, 8):
            await lab.change("POST", f"/v1/replicas/{replica.name}/retire", deadline_ms=50)
            scrapes += [await scrape(lab) for _ in range(10)]
            await lab.removable(replica)
            scrapes += [await scrape(lab) for _ in range(10)]
            await lab.remove(replica)
            await replica.kill()
            replica = await lab.serve(f"app-1.{generation}", _everything)
        done.set()
    assert [found for found in scrapes if not found.adds_up] == []
    assert sum(found.one("requests_in_flight") > 0 for found in scrapes) > 10, "there was no load: this shows nothing"
    assert any(found.one("requests_held") for found in scrapes)


async def test_when_all_is_over_nothing_is_in_flight(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", _everything)
        for make in (_good, _lost, _left, _streamed, _tunnelled, _malformed) * 3:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await make(lab)
        found = await settled(lab)
        assert found.adds_up
        assert found.total("requests_total") >= 15


async def _everything(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if received.target == "/ws":
        await echoes(received, reader, writer)
    elif received.target == "/lost":
        raise ConnectionResetError
    elif received.target == "/stream":
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"9\r\ndata: 1\n\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
    else:
        await asyncio.sleep(0.005)
        await hello(received, reader, writer)


async def _for_ever(make: Callable[[World], Coroutine[Any, Any, None]], lab: World, done: asyncio.Event) -> None:
    while not done.is_set():
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await make(lab)


async def _good(lab: World) -> None:
    await send(lab.port, get("/good"))


async def _lost(lab: World) -> None:
    await send(lab.port, get("/lost"))


async def _left(lab: World) -> None:
    async with connected(lab.port) as (_, writer):
        writer.write(get("/left"))
        await asyncio.sleep(0.002)


async def _streamed(lab: World) -> None:
    await send(lab.port, get("/stream"))


async def _tunnelled(lab: World) -> None:
    with contextlib.suppress(AssertionError):
        async with tunnel(lab.port):
            await asyncio.sleep(0.01)


async def _malformed(lab: World) -> None:
    await send(lab.port, b"GET / HTTP/1.1\r\nHost : lab.test\r\n\r\n")


async def test_the_ledger_and_the_metrics_tell_the_same(tmp_path: Path) -> None:
    lines = 100
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await lab.serve("app-1.1", hello)
        await asyncio.gather(*(send(lab.port, get()) for _ in range(lines)))
        await eventually(lambda: len(replica.requests) == lines)
        found = await settled(lab)
        assert found.one("requests_accepted_total") == len(await attempts(lab)) == lines
