"""Says what versions do to each other's data while it happens: the load counts it, the journal keeps it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOOK_SECONDS = 0.5
GROWS = 10
"""A fault is told when it is first seen, and each time that it has become so many times more."""

Tick = Callable[[], Mapping[str, Any]]
"""The load's newest status line."""
Tell = Callable[..., None]


@dataclass(slots=True)
class Mixes:
    """What has been told, by fault, writer and reader."""

    told: dict[tuple[str, str | None, str], int] = field(default_factory=dict)

    def news(self, tick: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What is to be told of this status line, each as the data of a `mix-seen`."""
        fresh = []
        for mix in tick.get("mixes", ()):
            key = (mix["fault"], mix["writer"], mix["reader"])
            if key not in self.told or mix["count"] >= GROWS * self.told[key]:
                self.told[key] = mix["count"]
                fresh.append({name: mix[name] for name in ("fault", "writer", "reader", "count")})
        return fresh


async def tell_mixes(tick: Tick, tell: Tell) -> None:
    """Until it is cancelled, and once more then: what the last moment brought is told too."""
    mixes = Mixes()
    try:
        while True:
            _tell(mixes, tick, tell)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        _tell(mixes, tick, tell)


def _tell(mixes: Mixes, tick: Tick, tell: Tell) -> None:
    for mix in mixes.news(tick()):
        tell("mix-seen", **mix)
