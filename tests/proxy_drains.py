"""A drain as a test looks at it: something was in flight when it began, and this is how it ended; and other waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tests.proxy_world import PATIENCE, Received, Replica, World
from tests.proxy_ws import Served

T = TypeVar("T")


async def retire(lab: World, replica: Replica | Served, **deadlines: int) -> dict[str, Any]:
    """Retire a replica that has something in flight; return what it had."""
    seen = await lab.seen(replica)
    assert seen["in_flight"], "nothing is in flight: this drain would show nothing"
    await lab.change("POST", f"/v1/replicas/{replica.name}/retire", **{"deadline_ms": 20_000, **deadlines})
    return seen


async def ended(lab: World, replica: Replica | Served) -> tuple[int, int, list[str]]:
    """Return how many were cut, how many aborted, and the results in the ledger."""
    seen = await lab.removable(replica)
    await lab.change("DELETE", "/v1/run")
    return seen["cut"], seen["aborted"], [line["result"] for line in lab.ledger("r1") if line["e"] == "end"]


async def past_the_deadline(lab: World, replica: Replica) -> None:
    deadline = (await lab.seen(replica))["deadline_ns"]
    await asyncio.sleep((deadline - (await lab.state())["now_ns"]) / 1e9 + 0.05)


async def comes_to(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool]) -> T:
    """Ask until the answer is as wanted, for what the proxy counts without telling anybody."""
    deadline = time.monotonic() + PATIENCE
    while not holds(found := await ask()):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.005)
    return found


async def seen_to(lab: World, replica: Replica | Served, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Look at a replica until something holds; in-flight counts are no change that a long poll would tell."""
    return await comes_to(lambda: lab.seen(replica), holds)


async def until_left(_received: Received, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Respond as a replica that answers nothing, and notices when it is left."""
    await reader.read()
    raise ConnectionResetError
