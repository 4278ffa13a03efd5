"""The containers' monotonic clock, as known on the host: the same on Linux, an offset where a VM runs them."""

import time
from dataclasses import dataclass

from lab.gateway import ProxyGateway

HANDSHAKES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetClock:
    """`error_ns` bounds how wrong `now_ns` may be."""

    offset_ns: int
    error_ns: int

    def now_ns(self) -> int:
        return time.monotonic_ns() + self.offset_ns


async def measure_clock(gateway: ProxyGateway) -> OffsetClock:
    """Ask the proxy for its time, and keep the answer that came back the fastest."""
    best: tuple[int, int] | None = None
    for _ in range(HANDSHAKES):
        before = time.monotonic_ns()
        theirs = await gateway.now_ns()
        after = time.monotonic_ns()
        trip = after - before
        if best is None or trip < best[0]:
            best = (trip, theirs - (before + after) // 2)
    trip, offset = best or (0, 0)
    if 2 * abs(offset) <= trip:  # it cannot be told from the same clock
        return OffsetClock(offset_ns=0, error_ns=trip // 2 + abs(offset))
    return OffsetClock(offset_ns=offset, error_ns=trip // 2)
