"""What a locustfile is made of: cohorts, and the turn that each of them is given."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from loadtest.oracle import Check
from loadtest.outcomes import Outcome
from loadtest.sender import Ask, Sender

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One place in the schedule. A cohort makes its request through it.

    `get`, `post` and `patch` return the answer's data, or None when the request failed: the failure is already in
    the ledger, and the cohort has nothing more to do.
    """

    cohort: str
    due: int
    rng: random.Random
    slow_seconds: float
    sender: Sender
    stopping: Callable[[], bool]
    room: bool = True
    slow: bool = False
    on_schedule: bool = True

    def get(self, path: str, *, check: Check) -> Data | None:
        return self._send("GET", path, check, frozenset({200}))

    def post(self, path: str, body: Data, *, check: Check, key: str) -> Data | None:
        return self._send("POST", path, check, frozenset({200, 201}), body=body, key=key)

    def patch(self, path: str, body: Data, *, check: Check) -> Data | None:
        return self._send("PATCH", path, check, frozenset({200}), body=body)

    def then(self) -> "Turn | None":
        """The next request of the same turn, due now; None when the load is stopping and offers no more."""
        if self.stopping():
            return None
        return Turn(
            cohort=self.cohort,
            due=time.monotonic_ns(),
            rng=self.rng,
            slow_seconds=self.slow_seconds,
            sender=self.sender,
            stopping=self.stopping,
            slow=self.slow,
            on_schedule=False,
        )

    def _send(
        self,
        method: str,
        path: str,
        check: Check,
        statuses: frozenset[int],
        *,
        body: Data | None = None,
        key: str | None = None,
    ) -> Data | None:
        judgement = self.sender.send(
            Ask(
                cohort=self.cohort,
                method=method,
                path=path,
                check=check,
                statuses=statuses,
                body=body,
                key=key,
                due=self.due,
                on_schedule=self.on_schedule,
                room=self.room,
                slow=self.slow,
            )
        )
        if judgement.outcome is Outcome.OK and isinstance(judgement.data, dict):
            return judgement.data
        return None


Play = Callable[[Any, Turn], None]


@dataclass(frozen=True, slots=True)
class Cohort:
    """A method of the user class that makes one kind of request.

    `weight` is its part of what the slow cohort leaves, in requests; `requests` is how many a turn of it makes.
    The one with `slow` is sized from the number of replicas instead.
    """

    play: Play
    weight: float = 0.0
    requests: int = 1
    slow: bool = False


def cohort(*, weight: float = 0.0, requests: int = 1, slow: bool = False) -> Callable[[Play], Cohort]:
    return lambda play: Cohort(play, weight, requests, slow)
