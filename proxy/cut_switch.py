"""A fault on purpose, for tests of whoever judges: every n-th answer loses its end, and the ledger calls it whole.

Off unless it is turned on through the admin API. What it cut is counted here and nowhere else, so that a verdict can be
held against it; that it is on stands in the ledger of the run.
"""

LOST_BYTES = 10
"""So many are kept from the client: always of the body, never of the head."""
MAX_KEPT = 100_000


class CutSwitch:
    """`cut`: the ids of the requests whose answers it cut, the first ones."""

    __slots__ = ("_seen", "count", "cut", "every")

    def __init__(self) -> None:
        self.turn(0)

    def turn(self, every: int) -> None:
        """Cut every so manieth answer from here on; 0: none."""
        self.every = every
        self._seen = self.count = 0
        self.cut: list[str] = []

    def strikes(self, request_id: bytes, size: int) -> bool:
        """Whether this answer, with a body of so many bytes, is one to cut."""
        if not self.every or size <= LOST_BYTES:
            return False
        self._seen += 1
        if self._seen % self.every:
            return False
        self.count += 1
        if len(self.cut) < MAX_KEPT:
            self.cut.append(request_id.decode("latin-1"))
        return True
