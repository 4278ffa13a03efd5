"""What the proxy counts for and against each replica: the requests it had the last word in, and those it failed."""

import asyncio
from pathlib import Path

import pytest

from proxy.settings import Limits
from tests.proxy_attempts import ask, closes, first_attempt, hello, in_rotation, pair
from tests.proxy_drains import seen_to, until_left
from tests.proxy_world import Received, Replica, Responder, World, connected, get, read_head, send, world
from tests.proxy_ws import echoes, tunnel


def saying(answer: bytes, *, then_closes: bool = False) -> Responder:
    async def respond(_received: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if then_closes:
            await writer.drain()
            raise ConnectionResetError

    return respond


async def counted(lab: World, replica: Replica, requests: int, errors: int) -> None:
    """Hold it to these counts, once nothing is in flight."""
    seen = await seen_to(lab, replica, lambda found: not found["in_flight"])
    assert (seen["requests"], seen["errors"]) == (requests, errors)


@pytest.mark.parametrize(("status", "errors"), [(200, 0), (404, 0), (499, 0), (500, 3), (503, 3)])
async def test_an_answer_is_counted_and_from_500_on_as_an_error(tmp_path: Path, status: int, errors: int) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", saying(b"HTTP/1.1 %d So\r\nContent-Length: 0\r\n\r\n" % status))
        for _ in range(3):
            assert (await ask(lab))[0] == status
        await counted(lab, replica, 3, errors)


@pytest.mark.parametrize(
    ("respond", "answer"),
    [
        (closes, (502, "upstream-closed")),
        (saying(b"nonsense\r\n\r\n"), (502, "bad-answer")),
        (until_left, (504, "upstream-timeout")),
    ],
)
async def test_what_the_proxy_answers_for_it_is_its_error(
    tmp_path: Path, respond: Responder, answer: tuple[int, str]
) -> None:
    async with world(tmp_path, limits=Limits(first_byte_seconds=0.2)) as lab:
        replica = await in_rotation(lab, "app-1.1", respond)
        assert await ask(lab, "POST", b"x") == answer
        await counted(lab, replica, 1, 1)


async def test_an_answer_that_breaks_off_is_an_error_though_it_began_well(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        cut = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", then_closes=True)
        replica = await in_rotation(lab, "app-1.1", cut)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await send(lab.port, get())
        await counted(lab, replica, 1, 1)


async def test_a_request_that_is_repeated_is_counted_where_it_was_answered(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replicas = await pair(lab, first_attempt(closes))
        for _ in range(5):
            assert (await ask(lab))[0] == 200
        found = [await lab.seen(each) for each in replicas]
        assert sum(each["requests"] for each in found) == 5
        assert sum(each["errors"] for each in found) == 0


@pytest.mark.parametrize("limits", [Limits(hold_seconds=0), Limits(attempts=1)], ids=["nobody else", "no more tries"])
async def test_a_replica_that_cannot_be_reached_has_failed_what_nobody_else_answered(
    tmp_path: Path, limits: Limits
) -> None:
    async with world(tmp_path, limits=limits) as lab:
        replica = await in_rotation(lab, "app-1.1", hello)
        await replica.kill()
        assert await ask(lab) == (502, "connect-failed")
        await counted(lab, replica, 1, 1)


async def test_a_client_that_leaves_before_the_answer_speaks_neither_for_it_nor_against_it(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        async with connected(lab.port) as (_, writer):
            writer.write(get())
            await replica.arrived.acquire()
        await counted(lab, replica, 0, 0)


async def test_what_a_drain_deadline_ends_before_an_answer_is_not_counted(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.holding("app-1.1")
        asked = asyncio.create_task(ask(lab))
        await replica.arrived.acquire()
        await lab.retire(replica, deadline_ms=10)
        assert await asked == (504, "drain-deadline")
        await counted(lab, replica, 0, 0)


async def test_a_websocket_and_a_request_count_alike(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1", echoes)
        async with tunnel(lab.port):
            pass
        await counted(lab, replica, 1, 0)


async def test_readiness_probes_are_not_counted_and_a_new_generation_begins_anew(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        first = await lab.serve("app-1.1")
        await send(lab.port, get())
        await counted(lab, first, 1, 0)
        await lab.retire(first)
        await lab.removable(first)
        await lab.remove(first)
        await counted(lab, await lab.serve("app-1.2"), 0, 0)


async def test_a_refused_head_is_no_replica_s(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        async with connected(lab.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            (_, status, *_), _, _ = await read_head(reader)
        assert status == "400"
        await counted(lab, replica, 0, 0)
