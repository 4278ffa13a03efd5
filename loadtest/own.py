"""Users of your own under the lab's schedule and in its ledger: see docs/how-to/locustfile.md."""

import json as jsons
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar
from urllib.parse import urlencode

from locust import User
from locust.exception import StopUser

from loadtest.cohorts import Cohort, Turn
from loadtest.messages import Reply
from loadtest.open_loop import OpenLoopUser
from loadtest.oracle import Check
from loadtest.outcomes import Kind, Outcome
from loadtest.sender import Ask, anything

_GOOD = frozenset(range(200, 300))


class LedgerMixin(User):
    """Put it before Locust's class: `class Shopper(LedgerMixin, HttpUser)`.

    Its `client` is the lab's: open loop, in the ledger, sent once. Each `@task` is a cohort, begun when the schedule
    says so: `wait_time` has no say. One user does one task at a time; there are as many as tasks are in flight.
    """

    abstract = True
    client: Any

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.client = LedgerClient()

    @property
    def rng(self) -> random.Random:
        """Chance that the seed of the run repeats."""
        return self.client.turn.rng  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; `ok` only if it is whole and right. A failure is in the ledger already."""

    id: str
    outcome: Outcome
    kind: Kind | None
    detail: str | None
    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    data: Any = None

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        return jsons.loads(self.content)


class LedgerClient:
    """Makes requests of the turn that its user was given."""

    turn: Turn

    def __init__(self) -> None:
        self._asked = False

    def begin(self, turn: Turn) -> None:
        self.turn, self._asked = turn, False

    def get(self, path: str, **more: Any) -> Answer:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> Answer:
        return self.request("POST", path, **more)

    def put(self, path: str, **more: Any) -> Answer:
        return self.request("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Answer:
        return self.request("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self.request("DELETE", path, **more)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        statuses: frozenset[int] | set[int] = _GOOD,
        check: Check = anything,
        sealed: bool = False,
        key: str | None = None,
        fresh: bool = False,
    ) -> Answer:
        """Send once. `statuses` are the right ones; `check` says what is wrong with an answer, or None.

        `sealed`: it must be the self-checking body of the sample app, and `check` is given its data. Raises StopUser,
        which ends the task, when the load is stopping and offers nothing more.
        """
        turn = self._turn()
        body, kind = _encoded(json, data)
        ask = Ask(
            cohort=turn.cohort,
            method=method,
            path=f"{path}?{urlencode(params)}" if params else path,
            due=turn.due,
            check=check,
            statuses=frozenset(statuses),
            sealed=sealed,
            headers={**kind, **(headers or {})},
            body=body,
            key=key,
            fresh=fresh,
        )
        request_id, found = turn.sender.send(ask)
        reply = found.data if isinstance(found.data, Reply) else None
        return Answer(
            id=request_id,
            outcome=found.outcome,
            kind=found.kind,
            detail=found.detail,
            status_code=found.status or 0,
            headers=reply.headers if reply else {},
            content=reply.body if reply else b"",
            data=None if reply else found.data,
        )

    def _turn(self) -> Turn:
        turn = self.turn if not self._asked else self.turn.then()
        if turn is None:
            raise StopUser
        self._asked = True
        return turn


class ScheduledUser(OpenLoopUser):
    """Takes each turn of the schedule to one of the users of the locustfile."""

    abstract = True
    kinds: ClassVar[tuple[type[LedgerMixin], ...]] = ()

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._idle: defaultdict[type[LedgerMixin], deque[LedgerMixin]] = defaultdict(deque)

    @classmethod
    def cohorts(cls) -> Mapping[str, Cohort]:
        found = [(kind, do, times) for kind in cls.kinds for do, times in _tasks(kind).items()]
        names = Counter(_name(do) for _, do, _ in found)
        return {
            _name(do) if names[_name(do)] == 1 else f"{kind.__name__}.{_name(do)}": Cohort(
                _player(kind, do), weight=float(times * kind.weight)
            )
            for kind, do, times in found
        }

    def play(self, kind: type[LedgerMixin], do: Callable[[Any], None], turn: Turn) -> None:
        one: LedgerMixin | None = None
        try:
            one = self._idle[kind].pop() if self._idle[kind] else self._made(kind, turn)
            one.client.begin(turn)
            do(one)
        except StopUser:
            return
        finally:
            if one is not None:
                self._idle[kind].append(one)

    def over(self) -> None:
        for kept in self._idle.values():
            for one in kept:
                _without_more(one.on_stop)

    def _made(self, kind: type[LedgerMixin], turn: Turn) -> LedgerMixin:
        kind.host = self.environment.host
        one = kind(self.environment)
        first = turn.then()
        if first is None:
            raise StopUser
        one.client.begin(replace(first, cohort="on_start"))
        one.on_start()
        return one


def scheduled(kinds: tuple[type[LedgerMixin], ...]) -> type[ScheduledUser]:
    return type("LedgerUsers", (ScheduledUser,), {"kinds": kinds, "abstract": False})


def _player(kind: type[LedgerMixin], do: Callable[[Any], None]) -> Callable[[ScheduledUser, Turn], None]:
    return lambda user, turn: user.play(kind, do, turn)


def _tasks(kind: type[LedgerMixin]) -> Counter[Callable[[Any], None]]:
    return Counter(do for do in kind.tasks if callable(do))


def _name(do: Callable[[Any], None]) -> str:
    return do.__name__


def _without_more(do: Callable[[], None]) -> None:
    try:
        do()
    except StopUser:
        return


def _encoded(json: Any, data: bytes | str | None) -> tuple[bytes, dict[str, str]]:
    if json is not None:
        return jsons.dumps(json, ensure_ascii=False).encode(), {"Content-Type": "application/json"}
    return data.encode() if isinstance(data, str) else data or b"", {}
