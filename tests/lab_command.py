"""A command of the lab as a process of its own, to be killed: `hold URL HOME`, `roll URL HOME PORT TARGET N KILL_AT`.

`roll` kills itself, as SIGKILL from outside would, once so many records of the journal are on disk; 0: never.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.gateway import ProxyGateway
from lab.lease import held_lease
from lab.ports import Event, Journal
from tests.lab_world import Fleet
from tests.proxy_world import TOKEN


@dataclass(slots=True)
class Deadly:
    """A journal that takes its writer's life after a number of records."""

    journal: Journal
    left: int

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event:
        event = self.journal.append(type, run, t_ns, data)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return event

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]:
        return self.journal.events(run=run, types=types)


async def hold(url: str, home: str) -> None:
    async with ProxyGateway(url, TOKEN) as gateway, held_lease(gateway, Path(home)):
        say(f"held {gateway.fence}")
        await asyncio.Event().wait()


async def roll(url: str, home: str, *numbers: str) -> None:
    port, target, replicas, kill_at = map(int, numbers)
    fleet = Fleet(folder=Path(home), port=port, replicas=replicas)
    async with ProxyGateway(url, TOKEN) as gateway, held_lease(gateway, Path(home)):
        ended = await fleet.roll(gateway, target, 3 - target, wrap=lambda journal: Deadly(journal, kill_at))
    say(ended.ending)


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    asyncio.run({"hold": hold, "roll": roll}[sys.argv[1]](*sys.argv[2:]))
