"""What befalls the whole process: at its start, some time after it was ready, and at its end."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn

from sample_app import log
from sample_app.faults.chosen import Chosen, Fault, fired

DEATH_CODE = 3
CRASH_CODE = 1
SECONDS_TO_LEAK = 2.0
"""So long after it was ready does the memory begin to go."""
SECONDS_BETWEEN_STALLS = 3.0
_CHUNK_MIB = 16
_MIB = 1024 * 1024
_PAGE = 4096


async def crash_or_delay(chosen: Chosen, *, told_to_stop: Callable[[], Awaitable[object]]) -> None:
    """What happens before the replica listens."""
    if Fault.CRASHES_ON_START in chosen:
        _exit(Fault.CRASHES_ON_START, CRASH_CODE)
    if Fault.SLOW_START in chosen:
        fired(Fault.SLOW_START)
        try:
            await asyncio.wait_for(told_to_stop(), chosen[Fault.SLOW_START])
        except TimeoutError:
            return


def on_sigterm(chosen: Chosen, stop: Callable[[], None]) -> Callable[[], None]:
    """Return what SIGTERM does to this replica."""
    if Fault.EXITS_AT_ONCE in chosen:
        # as an app does that never heard of SIGTERM: requests in flight are cut, and the exit looks clean
        return lambda: _exit(Fault.EXITS_AT_ONCE, 0)
    if Fault.IGNORES_SIGTERM in chosen:
        return lambda: fired(Fault.IGNORES_SIGTERM)
    return stop


def is_down(chosen: Chosen, seconds: float) -> bool:
    """Whether a replica that flaps is in the bad half of it, at that time of its clock."""
    period = chosen.get(Fault.FLAPS)
    return period is not None and int(seconds / period) % 2 == 1


class Fuse:
    """Lit the first time that the replica says it is ready: its readiness is beyond reproach until it burns down."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._lit = False
        self._hangs = False
        self._leaked: list[bytearray] = []

    @property
    def hangs(self) -> bool:
        """From now on nothing is answered any more, probes neither."""
        return self._hangs

    async def hang(self) -> NoReturn:
        fired(Fault.HANGS)
        while True:
            await asyncio.Event().wait()

    def told_ready(self) -> None:
        if self._lit:
            return
        self._lit = True
        loop, chosen = asyncio.get_running_loop(), self._chosen
        if Fault.DIES_AFTER_READY in chosen:
            loop.call_later(chosen[Fault.DIES_AFTER_READY], _exit, Fault.DIES_AFTER_READY, DEATH_CODE)
        if Fault.HANGS in chosen:
            loop.call_later(chosen[Fault.HANGS], self._begin_to_hang)
        if Fault.LEAKS_MEMORY in chosen:
            loop.call_later(SECONDS_TO_LEAK, self._leak)
        if Fault.STALLS in chosen:
            loop.call_later(SECONDS_BETWEEN_STALLS, self._stall)

    def _begin_to_hang(self) -> None:
        self._hangs = True

    def _leak(self) -> None:
        fired(Fault.LEAKS_MEMORY, detail=f"{_CHUNK_MIB} MiB more")
        chunk = bytearray(_CHUNK_MIB * _MIB)
        chunk[::_PAGE] = b"x" * (len(chunk) // _PAGE)  # a page that was never written takes no memory
        self._leaked.append(chunk)
        asyncio.get_running_loop().call_later(_CHUNK_MIB / self._chosen[Fault.LEAKS_MEMORY], self._leak)

    def _stall(self) -> None:
        fired(Fault.STALLS)
        time.sleep(self._chosen[Fault.STALLS])  # the loop itself is to stand still
        asyncio.get_running_loop().call_later(SECONDS_BETWEEN_STALLS, self._stall)


def _exit(fault: Fault, code: int) -> NoReturn:
    fired(fault)
    log.write("exit", detail=f"fault {fault}")
    os._exit(code)
