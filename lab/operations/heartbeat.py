"""A wait that says every ten seconds what it waits for, and how long it may still take."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BEAT_SECONDS = 10.0
Told = Callable[[str, str, float], None]
"""Progress: (part, what, seconds)."""


@contextmanager
def heartbeat(told: Told, part: str, on: str, within: float, *, every: float = BEAT_SECONDS) -> Iterator[None]:
    """While the block runs, which ends by itself within so many seconds."""
    over, deadline = threading.Event(), time.monotonic() + within

    def beat() -> None:
        while not over.wait(every):
            told(part, f"waiting for {on}, {max(0.0, deadline - time.monotonic()):.0f}s left", 0.0)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
