"""PURE. Which replica is given the next request.

Least outstanding of two random choices (Mitzenmacher 2001): nearly as even as the least of all, and, unlike it, no
stampede to the one that has just come back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from proxy.transitions import Health

# Of its share: what a replica is given in the first moment of its slow start.
_FIRST_SHARE = 0.1


class Candidate(Protocol):
    @property
    def in_flight(self) -> int: ...


Chosen = TypeVar("Chosen", bound=Candidate)


def least_of_two(candidates: Sequence[Chosen], random: Callable[[], float]) -> Chosen:
    count = len(candidates)
    if count == 1:
        return candidates[0]
    if count == 2:  # noqa: PLR2004  both are the two, in either order
        first, second = candidates
        if first.in_flight == second.in_flight:
            return first if random() < 0.5 else second  # noqa: PLR2004
    else:
        one = int(random() * count)
        two = int(random() * (count - 1))
        if two >= one:
            two += 1
        first, second = candidates[one], candidates[two]
    return second if second.in_flight < first.in_flight else first


def share(admitted_ns: int, slow_start_ms: int, now_ns: int) -> float:
    """Return how much of a full share a replica gets: all of it once its slow start is over."""
    length = slow_start_ms * 1_000_000
    age = now_ns - admitted_ns
    if age >= length:
        return 1.0
    return _FIRST_SHARE + (1 - _FIRST_SHARE) * max(0, age) / length


@dataclass(frozen=True, slots=True)
class Look:
    """How a replica in rotation looks. `unreachable`: connections to it fail, and so do its probes."""

    health: Health
    unreachable: bool = False


def eligible(looks: Sequence[Look], *, must_serve: bool) -> list[int]:
    """Return the places in the list of those that may be asked.

    When more than half look unhealthy, that says more about what they all depend on than about any of them: then all
    are asked that were proved once and can be connected to (panic). `must_serve`: rather one that refused connections
    than none, for a proxy that may not let requests wait.
    """
    up = [number for number, look in enumerate(looks) if look.health is Health.UP]
    if 2 * len(up) < len(looks):
        out = {number for number, look in enumerate(looks) if look.health is Health.EJECTED and not look.unreachable}
        up = sorted(out.union(up))
    if not up and must_serve:
        return list(range(len(looks)))
    return up
