"""PURE. When a request is tried again. The policy is the proxy's own: no library below it repeats anything.

RFC 9110 §9.2.2: what is not idempotent is not repeated by an intermediary, unless it can be sure that nothing was done.
"""

from proxy.ledger import Result

REPLAY_BYTES = 64 * 1024
_LEAST_BUDGET = 3
_SHARE_OF_IN_FLIGHT = 0.2


def may_connect_elsewhere(result: Result, *, attempt: int, attempts: int) -> bool:
    """Nothing was sent: any method may be tried on a replica that was not tried yet."""
    return result is Result.CONNECT_FAILED and attempt < attempts


def may_repeat(result: Result, *, repeatable: bool, replayable: bool, repeats: int) -> bool:
    """The replica closed before the first byte of an answer, and may have done all of it: once, if that is no harm.

    `repeatable`: a safe method, or a client that gave an idempotency key. `replayable`: all that was sent of its body
    can be sent again.
    """
    return result is Result.CLOSED_BEFORE_RESPONSE and repeatable and replayable and repeats == 0


class Budget:
    """How many repeats may be under way at once: where everything fails, repeating everything is a second storm."""

    def __init__(self) -> None:
        self.under_way = 0

    def take(self, in_flight: int) -> bool:
        if self.under_way >= max(_LEAST_BUDGET, in_flight * _SHARE_OF_IN_FLIGHT):
            return False
        self.under_way += 1
        return True

    def give_back(self) -> None:
        self.under_way -= 1


class Replay:
    """What was sent of a body, kept as long as it is small enough to be sent again."""

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._size = 0
        self.sent: list[bytes] = []
        self.continued = False

    @property
    def possible(self) -> bool:
        return self._keeps

    def note(self, data: bytes) -> None:
        if not self._keeps:
            return
        self._size += len(data)
        self.sent.append(data)
        if self._size > REPLAY_BYTES:
            self._keeps = False
            self.sent.clear()
