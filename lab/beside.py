"""Whether what the fleet stands on still runs: its database, and whatever else Compose started beside it."""

import asyncio
from collections.abc import Callable, Mapping

from lab.docker_host import Static
from lab.errors import EngineError
from lab.ports import Observer, Sight

LOOK_SECONDS = 1.0


class LookBeside:
    """Looks as another observer does. EngineError `service-gone` while one that ran at first neither runs nor is done.

    A version that cannot get ready without its database has not failed. `now`: seconds that only rise.
    """

    def __init__(
        self, observer: Observer, static: Callable[[], Mapping[str, Static]], *, now: Callable[[], float]
    ) -> None:
        self._observer = observer
        self._static = static
        self._now = now
        self._ran: frozenset[str] | None = None
        self._gone: list[str] = []
        self._looked = 0.0

    async def look(self, *, whole: bool) -> Sight:
        sight = await self._observer.look(whole=whole)
        if self._ran is None or self._now() - self._looked >= LOOK_SECONDS:
            await self._look_beside()
        if self._gone:
            raise EngineError(
                id="service-gone",
                what=f"{' and '.join(self._gone)} does not run any more",
                fix="lab up starts it again, then lab resume",
            )
        return sight

    async def _look_beside(self) -> None:
        there = await asyncio.to_thread(self._static)
        runs = frozenset(name for name, one in there.items() if one.running or one.done)
        self._ran = runs if self._ran is None else self._ran
        self._gone = sorted(self._ran - runs)
        self._looked = self._now()
