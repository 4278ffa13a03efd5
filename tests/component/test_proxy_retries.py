"""What is tried again, where, how often, and what never is: no request takes effect twice by the proxy's doing."""

import asyncio
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest

from proxy.gateway import Gateway
from proxy.routing import Claim
from proxy.settings import Limits
from tests.proxy_attempts import SAFE, UNSAFE, ask, attempts, closes, first_attempt, hello, in_rotation, pair, request
from tests.proxy_drains import comes_to
from tests.proxy_world import Received, connected, eventually, get, read_answer, send, world


@pytest.mark.parametrize("method", SAFE + UNSAFE)
async def test_whatever_the_method_a_failed_connect_goes_to_a_replica_not_tried_yet(
    tmp_path: Path, method: str
) -> None:
    body = None if method in SAFE else b"x" * 10_000
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        dead, alive = await pair(lab, hello)
        await dead.kill()
        for number in range(6):
            assert await ask(lab, method, body, f"X-Lab-Request-Id: r-{number}") == (200, None)
        assert [received.body for received in alive.requests] == [body or b""] * 6
        found = await attempts(lab)
        for lines in found.values():
            assert len({line["replica"] for line in lines}) == len(lines)
            assert [line["result"] for line in lines] in (["ok"], ["connect_failed", "ok"])
        assert any(len(lines) == 2 for lines in found.values()), "nothing was ever tried twice: this shows nothing"
        assert {received.one("X-Lab-Attempt") for received in alive.requests} >= {"2"}


async def test_where_no_replica_can_be_reached_it_says_so(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(hold_seconds=0)) as lab:
        for replica in await pair(lab, hello):
            await replica.kill()
        assert await ask(lab, "POST", b"x") == (502, "connect-failed")


async def test_where_no_replica_can_be_reached_a_request_waits_for_another_one(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        for replica in await pair(lab, hello):
            await replica.kill()
        client = asyncio.create_task(ask(lab, "POST", b"x" * 10_000))
        await comes_to(lab.state, lambda state: state["hold"]["held"] == 1)
        new = await lab.serve("app-3.1", hello)
        assert await client == (200, None)
        assert [received.body for received in new.requests] == [b"x" * 10_000]


@pytest.mark.parametrize("method", SAFE)
async def test_a_safe_method_is_tried_once_more_when_the_connection_closed_before_an_answer(
    tmp_path: Path, method: str
) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replicas = await pair(lab, first_attempt(closes))
        assert await ask(lab, method) == (200, None)
        assert sorted(len(replica.requests) for replica in replicas) == [1, 1]
        ((first, second),) = (await attempts(lab)).values()
        assert (first["attempt"], first["result"], second["attempt"], second["result"]) == (
            1,
            "closed_before_response",
            2,
            "ok",
        )


async def test_and_not_a_third_time(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replicas = [await in_rotation(lab, f"app-{slot}.1", closes) for slot in (1, 2, 3)]
        assert await ask(lab) == (502, "upstream-closed")
        assert sum(len(replica.requests) for replica in replicas) == 2


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("body", [None, b"", b"once"], ids=["no body", "empty", "small"])
async def test_an_unsafe_method_that_may_have_taken_effect_is_not_sent_again(
    tmp_path: Path, method: str, body: bytes | None
) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replicas = await pair(lab, first_attempt(closes))
        assert await ask(lab, method, body) == (502, "upstream-closed")
        assert sum(len(replica.requests) for replica in replicas) == 1
        ((only,),) = (await attempts(lab)).values()
        assert only["result"] == "closed_before_response"


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("size", [0, 10_000, 65_536])
async def test_with_an_idempotency_key_it_is_and_byte_for_byte(tmp_path: Path, method: str, size: int) -> None:
    body = bytes(number % 251 for number in range(size))
    async with world(tmp_path) as lab:
        replicas = await pair(lab, first_attempt(closes))
        assert await ask(lab, method, body, "Idempotency-Key: k1") == (200, None)
        assert [received.body for replica in replicas for received in replica.requests] == [body, body]
        assert {received.one("Idempotency-Key") for replica in replicas for received in replica.requests} == {"k1"}


async def test_a_chunked_body_is_sent_again_as_it_came(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replicas = await pair(lab, first_attempt(closes))
        head = b"POST / HTTP/1.1\r\nHost: lab.test\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await send(lab.port, head + b"6\r\nhello \r\n3\r\nyou\r\n0\r\n\r\n")
        assert answer.status == 200
        assert [received.body for replica in replicas for received in replica.requests] == [b"hello you"] * 2


@pytest.mark.parametrize("size", [65_537, 10_000_000])
async def test_a_body_too_large_to_keep_is_not_sent_again_not_even_in_part(tmp_path: Path, size: int) -> None:
    async with world(tmp_path) as lab:
        replicas = await pair(lab, first_attempt(closes))
        assert await ask(lab, "POST", bytes(size), "Idempotency-Key: k") == (502, "upstream-closed")
        assert sum(len(replica.requests) for replica in replicas) == 1


async def test_a_large_body_reaches_the_next_replica_whole_when_the_first_refused_the_connection(
    tmp_path: Path,
) -> None:
    body = bytes(number % 251 for number in range(10_000_000))
    async with world(tmp_path) as lab:
        dead, alive = await pair(lab, hello)
        await dead.kill()
        for _ in range(3):
            assert await ask(lab, "POST", body) == (200, None)
        assert all(received.body == body for received in alive.requests)


@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_after_the_first_byte_of_an_answer_nothing_is_tried_again(tmp_path: Path, begun: bytes) -> None:
    async def begins(_received: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with world(tmp_path) as lab:
        replicas = await pair(lab, begins)
        status, reason = await ask(lab)
        assert status == 502
        assert reason in {"bad-answer", "upstream-closed"}
        assert sum(len(replica.requests) for replica in replicas) == 1


async def test_a_body_that_broke_off_is_cut_visibly_and_not_tried_again(tmp_path: Path) -> None:
    async def breaks_off(_received: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        raise ConnectionResetError

    async with world(tmp_path) as lab:
        replicas = await pair(lab, breaks_off)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await send(lab.port, get())
        assert sum(len(replica.requests) for replica in replicas) == 1


async def test_what_is_tried_again_stays_within_a_budget(tmp_path: Path) -> None:
    """50 requests lose their connection at once: a fifth of them, at most, is asked again at a time."""
    lost, kept = asyncio.Event(), asyncio.Event()
    again: Counter[str] = Counter()

    async def respond(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if received.one("X-Lab-Attempt") == "1":
            await lost.wait()
            raise ConnectionResetError
        again["now"] += 1
        await kept.wait()
        await hello(received, reader, writer)

    # so many errors in a row would otherwise take both replicas out
    async with world(tmp_path, limits=Limits(eject_errors=1000)) as lab:
        replicas = await pair(lab, respond)
        clients = [asyncio.create_task(ask(lab)) for _ in range(50)]
        await eventually(lambda: sum(len(replica.requests) for replica in replicas) == 50)
        lost.set()
        await eventually(lambda: sum(client.done() for client in clients) + again["now"] == 50)
        assert 3 <= again["now"] <= 10
        kept.set()
        found = Counter(await asyncio.gather(*clients))
    assert found == {(200, None): again["now"], (502, "upstream-closed"): 50 - again["now"]}


@pytest.mark.parametrize("method", SAFE)
async def test_a_kept_connection_that_the_app_has_closed_costs_no_safe_request(tmp_path: Path, method: str) -> None:
    """The app closes a kept connection when the next request is on its way: it read it, or it did not."""

    async def closes_the_second(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer in seen and received.one("X-Lab-Attempt") == "1":
            raise ConnectionResetError
        seen.add(writer)
        await hello(received, reader, writer)

    seen: set[asyncio.StreamWriter] = set()
    async with world(tmp_path) as lab:
        await in_rotation(lab, "app-1.1", closes_the_second)
        async with connected(lab.port) as (reader, writer):
            for _ in range(6):
                writer.write(request(method))
                assert (await read_answer(reader, head_only=method == "HEAD")).status == 200


async def test_a_connection_closed_while_it_was_idle_is_not_used_again(tmp_path: Path) -> None:
    """`Connection: close` was never said: the app just closes, after each answer."""

    async def once(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hello(received, reader, writer)
        writer.close()
        await writer.wait_closed()

    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        replica = await in_rotation(lab, "app-1.1", once)
        for _ in range(50):
            assert await ask(lab, "POST", b"x") == (200, None)
            await comes_to(lambda: lab.seen(replica), lambda found: not found["idle"] and not found["in_flight"])
        assert [len(lines) for lines in (await attempts(lab)).values()] == [1] * 50


async def test_a_request_whose_replica_is_removed_before_it_is_sent_is_asked_of_another(tmp_path: Path) -> None:
    """Claimed in one step of the loop and begun in the next: between the two its route may go."""
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        lost = await lab.serve("app-1.1")
        gateway = lab.server.gateway
        claimed: list[str] = []

        def claim(tried: Collection[str]) -> Claim | None:
            made = Gateway.claim(gateway, tried)
            if made is not None and not claimed:
                claimed.append(made.replica)
                asyncio.get_running_loop().call_soon(lambda: gateway.remove(lab.fence, lost.name, lost=True))
            return made

        gateway.claim = claim  # type: ignore[method-assign]
        async with connected(lab.port) as (reader, writer):
            writer.write(get("/", "X-Lab-Request-Id: r-1"))
            await eventually(lambda: lost.name not in gateway.pools)
            await lab.serve("app-2.1")
            assert (await read_answer(reader)).status == 200
        assert claimed == [lost.name]
        assert gateway.counts.in_flight == 0
        assert [line["result"] for line in (await attempts(lab))["r-1"]] == ["connect_failed", "ok"]
