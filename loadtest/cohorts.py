"""What a locustfile is made of: cohorts, and the turn that each of them is given."""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loadtest.event_stream import EventStream
from loadtest.live import Session, play
from loadtest.messages import Reply
from loadtest.oracle import Check
from loadtest.outcomes import Outcome
from loadtest.sender import Ask, Sender
from loadtest.websocket import WebSocket

Data = Mapping[str, Any]
_JSON = {"Content-Type": "application/json"}
_READ, _STORED = frozenset({200}), frozenset({200, 201})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """`data` None: the request failed, and that is in the ledger already. `version`: whoever answered, if one did."""

    id: str
    version: str | None
    data: Data | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """As `Answered`, of a file."""

    id: str
    version: str | None
    body: bytes | None


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
    timed: bool = True
    follows: str | None = None

    def get(self, path: str, *, check: Check, fresh: bool = False, writer: str | None = None) -> Data | None:
        return self.ask("GET", path, check=check, fresh=fresh, writer=writer).data

    def post(self, path: str, body: Data, *, check: Check, key: str) -> Data | None:
        return self.ask("POST", path, check=check, body=body, key=key).data

    def patch(self, path: str, body: Data, *, check: Check) -> Data | None:
        return self.ask("PATCH", path, check=check, body=body).data

    def stream(self, *, events: int, interval_ms: int = 100) -> None:
        """Read an event stream; one that is cut in order is asked for again."""
        session = EventStream(events=events, interval_ms=interval_ms)
        self._play(session)

    def websocket(self, *, messages: int, pause_s: float = 0.2) -> None:
        """Talk on a WebSocket; one that is cut in order is opened again."""
        session = WebSocket(messages=messages, pause_s=pause_s)
        self._play(session)

    def then(self, after: str | None = None) -> "Turn | None":
        """The next request of the same turn, due now; None when the load is stopping and offers no more.

        `after`: the id of the request that it looks back at.
        """
        if self.stopping():
            return None
        return replace(self, due=time.monotonic_ns(), follows=after)

    def ask(
        self,
        method: str,
        path: str,
        *,
        check: Check,
        body: Data | None = None,
        key: str | None = None,
        fresh: bool = False,
        writer: str | None = None,
    ) -> Answered:
        """`writer`: the version that last wrote what is asked for, where that is known."""
        request_id, judgement = self.sender.send(
            Ask(
                cohort=self.cohort,
                method=method,
                path=path,
                due=self.due,
                check=check,
                statuses=_STORED if method == "POST" else _READ,
                headers={} if body is None else _JSON,
                body=b"" if body is None else json.dumps(body, ensure_ascii=False).encode(),
                key=key,
                follows=self.follows,
                fresh=fresh,
                timed=self.timed,
                writer=writer,
            )
        )
        data = judgement.data if judgement.outcome is Outcome.OK and isinstance(judgement.data, dict) else None
        return Answered(id=request_id, version=judgement.version, data=data)

    def fetch(self, path: str, *, check: Check, writer: str | None = None) -> "Fetched":
        """A file, in no envelope: the check is given the Reply."""
        ask = Ask(
            cohort=self.cohort,
            method="GET",
            path=path,
            due=self.due,
            check=check,
            sealed=False,
            headers={"Accept": "*/*"},
            follows=self.follows,
            timed=self.timed,
            writer=writer,
        )
        request_id, judgement = self.sender.send(ask)
        right = judgement.outcome is Outcome.OK and isinstance(judgement.data, Reply)
        body = judgement.data.body if right and isinstance(judgement.data, Reply) else None
        return Fetched(id=request_id, version=judgement.version, body=body)

    def _play(self, session: Session) -> None:
        ask = Ask(
            cohort=self.cohort,
            method="GET",
            path=session.path,
            due=self.due,
            follows=self.follows,
            timed=False,
        )
        play(self.sender, ask, session)


Play = Callable[[Any, Turn], None]


@dataclass(frozen=True, slots=True)
class Cohort:
    """A method of the user class that makes one kind of request.

    `weight` is its part of what the slow cohort leaves, in requests; `requests` is how many a turn of it makes.
    The one with `slow` is sized from the number of replicas instead. One that is not `timed` takes as long as it was
    asked to, so that its latency says nothing.
    """

    play: Play
    weight: float = 0.0
    requests: int = 1
    slow: bool = False
    timed: bool = True


def cohort(
    *, weight: float = 0.0, requests: int = 1, slow: bool = False, timed: bool = True
) -> Callable[[Play], Cohort]:
    return lambda play: Cohort(play, weight, requests, slow, timed and not slow)
