"""Acts that nothing waits for: a container is made before its turn, or taken away after it ended.

They cost no budget, so they go on beside whatever else is done. Until one is over its replica is busy: nothing else is
begun on it. What an errand has done is known at once, however old the sight is that comes next.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab.errors import JournalError, LabError
from lab.hands import Hands, Intent, made_by
from lab.model import Act, Replica, Verb
from lab.planner import Fleet

_VERBS = frozenset({Verb.CREATE, Verb.DELETE})
UNSEEN_LOOKS = 3
"""What was made and is not seen for so many looks is not there any more."""


def is_errand(line: Sequence[Act]) -> bool:
    """What is made and started at once is none."""
    return len(line) == 1 and line[0].verb in _VERBS


@dataclass(slots=True)
class _Made:
    replica: Replica
    looks: int = 0


class Errands:
    """Those of one rollout. `fail` is told what one could not do."""

    def __init__(self, hands: Hands, fleet: Fleet, *, fail: Callable[[LabError], None]) -> None:
        self._hands = hands
        self._fleet = fleet
        self._fail = fail
        self._under_way: set[asyncio.Task[None]] = set()
        self._made: dict[str, _Made] = {}
        self._gone: set[str] = set()

    def begin(self, act: Act, seen: Replica | None, version: str) -> None:
        """`seen`: the replica as it is now."""
        intent = self._hands.intend(act, seen)
        before = seen or made_by(act, version)
        self._fleet.see(before)
        self._fleet.busy.add(act.replica)
        if seen is None:
            self._made[act.replica] = _Made(before)
        self._under_way.add(asyncio.create_task(self._carry_out(intent, seen)))

    async def _carry_out(self, intent: Intent, seen: Replica | None) -> None:
        name, left = intent.act.replica, None
        try:
            left = (await self._hands.carry_out(intent, seen)).made
        except JournalError:
            left = seen
            raise
        except LabError as error:
            self._fail(error)
            left = seen
        else:
            if left is None:
                self._gone.add(name)
        finally:
            self._fleet.busy.discard(name)
            self._leave(name, left)

    def _leave(self, name: str, left: Replica | None) -> None:
        if left is None:
            self._made.pop(name, None)
            self._fleet.forget(name)
            return
        self._fleet.see(left)
        if name in self._made:
            self._made[name] = _Made(left)

    def known(self, seen: Iterable[Replica]) -> list[Replica]:
        """All that there are, by a sight that may be older than an errand's end."""
        there = {r.name: r for r in seen if r.name not in self._gone}
        for name, made in list(self._made.items()):
            made.looks += name not in self._fleet.busy
            if name in there or made.looks > UNSEEN_LOOKS:
                del self._made[name]
            else:
                there[name] = made.replica
        return list(there.values())

    # who runs them waits here

    async def beside(self, waiting: asyncio.Future[None]) -> None:
        """Wait for that or for the next errand's end."""
        try:
            await asyncio.wait({waiting, *self._under_way}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not waiting.done():
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
        self.check()
        if not waiting.cancelled():
            waiting.result()

    def check(self) -> None:
        """Whatever no errand may end with is raised here."""
        for task in [task for task in self._under_way if task.done()]:
            self._under_way.discard(task)
            task.result()

    async def let_end(self) -> None:
        while self._under_way:
            await asyncio.wait(self._under_way)
            self.check()

    async def give_up(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        self._under_way.clear()

    @property
    def under_way(self) -> bool:
        return bool(self._under_way)
