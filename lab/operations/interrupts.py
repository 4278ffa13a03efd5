"""Ctrl-C once: the current step is finished, then the rollout pauses. Twice: at once; it stays resumable."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Listens for SIGINT and SIGTERM inside its `with`. `signal` is the first that came."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._pressed = asyncio.Event()
        self._then: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._press, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(number)

    def then(self, act: Callable[[], None]) -> None:
        """Call `act` at the first signal, or now if it has come."""
        self._then.append(act)
        if self.signal:
            act()

    async def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until the first signal."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._pressed.wait(), seconds)

    def _press(self, number: signal.Signals) -> None:
        self.signal = number
        self._pressed.set()
        # the default again: the next one ends the command where it stands
        self.__exit__()
        os.write(2, b"\nfinishing the current step, then pausing; again: stop now\n")
        for act in self._then:
            act()
