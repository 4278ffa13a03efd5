"""Requests that wait for a replica: first come, first served, within bounds, let go a few at a time."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.routing import Claim

# In flight per replica before the queue waits for some to end: a burst would make the first replica back look broken.
_AT_ONCE = 16
# One goes whatever is in flight: the queue must move although all that went before it are slow.
_TRICKLE_SECONDS = 0.01


class HoldFullError(Exception):
    pass


class HoldTimeoutError(Exception):
    pass


class LeftError(Exception):
    """The client left while its request was held."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiting:
    future: "asyncio.Future[Claim]"
    tried: Collection[str]
    size: int
    since: float
    deadline: float

    def client_gone(self) -> None:
        if not self.future.done():
            self.future.set_exception(LeftError())

    def client_paused(self, *, paused: bool) -> None:
        """It has not been sent anything."""


class Client(Protocol):
    """Whose request is held: it tells `serving` when it leaves."""

    @property
    def serving(self) -> Any: ...
    @serving.setter
    def serving(self, serving: Any) -> None: ...


class Hold:
    """`claim` gives a replica that is not among those given, or nothing; `load` what is in flight, at how many."""

    def __init__(
        self,
        claim: Callable[[Collection[str]], Claim | None],
        give_back: Callable[[Claim], None],
        load: Callable[[], tuple[int, int]],
        *,
        count: int,
        size: int,
        seconds: float,
    ) -> None:
        self._claim = claim
        self._give_back = give_back
        self._load = load
        self._count, self._size, self.seconds = count, size, seconds
        self._waiting: dict[_Waiting, None] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self._trickle: asyncio.TimerHandle | None = None
        self._on = False
        # Whether a request that comes now has to wait its turn: asked at every request, so it is kept, not worked out.
        self.blocks = False
        self.bytes = 0

    @property
    def enabled(self) -> bool:
        return self.seconds > 0

    @property
    def on(self) -> bool:
        return self._on

    @on.setter
    def on(self, on: bool) -> None:
        self._on = on
        self.blocks = on or bool(self._waiting)

    @property
    def held(self) -> int:
        return len(self._waiting)

    def oldest_ms(self, now: float) -> int:
        return int((now - next(iter(self._waiting)).since) * 1000) if self._waiting else 0

    async def wait(self, tried: Collection[str], size: int, client: Client) -> Claim:
        """Return a claim when it is this request's turn.

        Raises HoldFullError, HoldTimeoutError, LeftError.
        """
        if len(self._waiting) >= self._count or self.bytes + size > self._size:
            raise HoldFullError
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = _Waiting(future=loop.create_future(), tried=tried, size=size, since=now, deadline=now + self.seconds)
        self._waiting[waiting] = None
        self.blocks = True
        self.bytes += size
        client.serving = waiting
        if self._expiry is None:
            self._expiry = loop.call_at(waiting.deadline, self._expire)
        self.pump()
        try:
            return await waiting.future
        except asyncio.CancelledError:
            if waiting.future.done() and not waiting.future.cancelled() and waiting.future.exception() is None:
                self._give_back(waiting.future.result())
            raise
        finally:
            self._leave(waiting)

    def pump(self, *, least: int = 0) -> None:
        """Let go as many as there is room for, at least that many if there is a replica at all."""
        if self._on or not self._waiting:
            return
        outstanding, replicas = self._load()
        room = max(least, _AT_ONCE * replicas - outstanding)
        for waiting in list(self._waiting) if replicas else ():
            if room <= 0:
                break
            if waiting.future.done():
                continue
            claim = self._claim(waiting.tried)
            if claim is not None:
                waiting.future.set_result(claim)
                self._leave(waiting)
                room -= 1
        if self._waiting and replicas and self._trickle is None:
            self._trickle = asyncio.get_running_loop().call_later(_TRICKLE_SECONDS, self._drip)

    def stop(self) -> None:
        for timer in (self._expiry, self._trickle):
            if timer is not None:
                timer.cancel()

    def _drip(self) -> None:
        self._trickle = None
        self.pump(least=1)

    def _leave(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            del self._waiting[waiting]
            self.bytes -= waiting.size
            self.blocks = self._on or bool(self._waiting)

    def _expire(self) -> None:
        self._expiry = None
        loop = asyncio.get_running_loop()
        for waiting in list(self._waiting):
            if waiting.deadline > loop.time():
                self._expiry = loop.call_at(waiting.deadline, self._expire)
                return
            if not waiting.future.done():
                waiting.future.set_exception(HoldTimeoutError())
            self._leave(waiting)
