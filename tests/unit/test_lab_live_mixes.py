"""What versions do to each other's data is told while it happens, and not at every tick."""

import asyncio
from typing import Any

from lab.operations.live_mixes import LOOK_SECONDS, Mixes, tell_mixes


def tick(*mixes: tuple[str, str | None, str, int]) -> dict[str, Any]:
    return {"mixes": [{"fault": f, "writer": w, "reader": r, "count": n} for f, w, r, n in mixes]}


def test_a_fault_is_told_when_it_is_first_seen_and_at_each_tenfold() -> None:
    mixes = Mixes()
    told = [
        [(mix["fault"], mix["count"]) for mix in mixes.news(tick(("stale", "v2", "v1", count)))]
        for count in (2, 3, 19, 20, 40, 200)
    ]
    assert told == [[("stale", 2)], [], [], [("stale", 20)], [], [("stale", 200)]]
    assert [mix["writer"] for mix in mixes.news(tick(("stale", "v2", "v1", 201), ("null", None, "v2", 1)))] == [None]
    assert mixes.news({}) == []


async def test_what_the_last_moment_brought_is_told_too() -> None:
    said: list[tuple[str, int]] = []
    now = tick()
    telling = asyncio.create_task(tell_mixes(lambda: now, lambda what, **mix: said.append((what, mix["count"]))))
    await asyncio.sleep(0)
    assert said == []
    now = tick(("lost", "v1", "v1", 1))
    telling.cancel()
    await asyncio.wait([telling], timeout=LOOK_SECONDS)
    assert said == [("mix-seen", 1)]
