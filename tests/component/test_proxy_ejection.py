"""Which replicas and which connections the proxy trusts: errors take a replica out, and none is trusted blindly."""

import asyncio
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.settings import Limits
from tests.proxy_attempts import ask, attempts, closes, hello, in_rotation, pair
from tests.proxy_drains import comes_to
from tests.proxy_world import READINESS, Received, Replica, World, get, send, world


async def test_an_unsafe_request_takes_a_fresh_connection_while_a_replica_comes_or_goes(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        await lab.change("PUT", "/v1/run", run="r1")
        numbers = itertools.count()

        async def both(phase: str) -> None:
            for method in ("GET", "POST"):
                assert (await ask(lab, method, b"", f"X-Lab-Request-Id: {phase}-{method}-{next(numbers)}"))[0] == 200

        await in_rotation(lab, "app-1.1", hello)
        await both("warm")
        await both("calm")
        coming = await lab.replica("app-2.1", hello)
        await lab.join(coming)
        await both("coming")
        await lab.remove(coming)
        await both("settled")
        going = await in_rotation(lab, "app-3.1", all_but_held)
        client = await _claimed(lab, going)
        await lab.retire(going)
        await both("going")
        client.cancel()
        reused = {}
        for id, (line,) in (await attempts(lab)).items():
            phase, *rest = id.split("-")
            reused[phase, rest[0] if rest else ""] = line["reused"]
    for phase in ("calm", "coming", "settled", "going"):
        assert reused[phase, "GET"], phase
    assert (reused["calm", "POST"], reused["settled", "POST"]) == (True, True)
    assert (reused["coming", "POST"], reused["going", "POST"]) == (False, False)


async def all_but_held(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if received.target == "/held":
        await asyncio.Event().wait()
    await hello(received, reader, writer)


async def _claimed(lab: World, replica: Replica) -> asyncio.Task[Any]:
    """Ask until this replica, which does not answer, is the one that was chosen."""
    while True:
        client = asyncio.create_task(send(lab.port, get("/held")))
        await comes_to(lab.state, lambda state, client=client: client.done() or _in_flight(state, replica))
        if not client.done():
            return client


def _in_flight(state: dict[str, Any], replica: Replica) -> bool:
    return any(each["in_flight"] for each in state["replicas"] if each["replica"] == replica.name)


class Moody:
    """A replica whose probes pass whatever it does with the requests."""

    def __init__(self) -> None:
        self.sick = False

    async def respond(self, received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (closes if self.sick else hello)(received, reader, writer)


async def test_three_connection_errors_in_a_row_take_a_replica_out_and_time_and_a_probe_bring_it_back(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, limits=Limits(eject_seconds=0.4)) as lab:
        moody = Moody()
        sick = await lab.serve("app-1.1", moody.respond)
        await lab.serve("app-2.1", hello)
        moody.sick = True
        for times in (1, 2):
            claimed = (await lab.seen(sick))["claimed"]
            began = time.monotonic()
            seen = await _asked_until(lab, sick, lambda found: found["health"] == "ejected")
            assert (seen["ejected_by"], seen["place"]) == ("errors", "ready")
            assert times > 1 or seen["claimed"] == claimed + 3
            await lab.until(sick, lambda found: found["health"] == "up")
            assert time.monotonic() - began > times * 0.4 * 0.9
        moody.sick = False
        taken = len(sick.requests)
        await _asked_until(lab, sick, lambda _: len(sick.requests) > taken)
        assert (await lab.seen(sick))["ejected_by"] is None


async def test_two_errors_and_then_an_answer_are_not_three_in_a_row(tmp_path: Path) -> None:
    async with world(tmp_path) as lab:
        moody = Moody()
        replica = await lab.serve("app-1.1", moody.respond)
        for _ in range(4):
            moody.sick = True
            for _ in range(2):
                assert await ask(lab, "POST") == (502, "upstream-closed")
            moody.sick = False
            assert await ask(lab, "POST") == (200, None)
        assert (await lab.seen(replica))["health"] == "up"


async def _asked_until(lab: World, replica: Replica, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    for _ in range(200):
        assert await ask(lab) == (200, None)
        if holds(seen := await lab.seen(replica)):
            return seen
    pytest.fail("it never came to hold")


async def test_a_replica_that_still_does_not_answer_its_probe_stays_out(tmp_path: Path) -> None:
    async with world(tmp_path, limits=Limits(eject_seconds=0.05)) as lab:
        dead, _ = await pair(lab, hello)
        await dead.kill()
        await _asked_until(lab, dead, lambda found: found["health"] == "ejected")
        claimed = (await lab.seen(dead))["claimed"]
        await asyncio.sleep(0.3)  # several times as long as the first ejection
        assert await ask(lab) == (200, None)
        seen = await lab.seen(dead)
        assert (seen["health"], seen["claimed"]) == ("ejected", claimed)


@pytest.mark.parametrize(("sick", "asked"), [(1, 2), (2, 3), (3, 3)])
async def test_when_most_replicas_look_sick_at_once_they_are_all_used(tmp_path: Path, sick: int, asked: int) -> None:
    """A shared dependency fails every probe: then the probe says nothing about the replicas."""
    assert READINESS["fails"] == 2
    async with world(tmp_path) as lab:
        replicas = [await lab.serve(f"app-{slot}.1", hello) for slot in (1, 2, 3)]
        for replica in replicas[:sick]:
            replica.ready = False
        for replica in replicas[:sick]:
            seen = await lab.until(replica, lambda found: found["health"] == "ejected")
            assert (seen["ejected_by"], seen["place"]) == ("probe", "ready")
        for _ in range(60):
            assert await ask(lab) == (200, None)
        assert sum(bool(replica.requests) for replica in replicas) == asked
