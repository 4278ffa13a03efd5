"""The seams: what the controller needs of the world. Each adapter is the only importer of its library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lab.gates import Felt
from lab.model import Asked, Check, Container, EjectedBy, Health, Place, Probe, Replica, Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A replica as the engine sees it."""

    name: str
    slot: int
    generation: int
    revision: int
    version: str
    container: Container
    container_id: str
    address: str = ""
    exit_code: int | None = None
    oom: bool = False
    check: Check | None = None
    check_said: str = ""
    killed: bool = False
    """It had ended, or was killed by somebody else, before it could end as asked: what `stop` alone can tell."""
    overstayed: bool = False
    """It was asked to end, and had to be killed when its stop grace was over: told by `stop` alone as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A replica as the proxy sees it."""

    name: str
    slot: int
    generation: int
    version: str
    address: str
    place: Place
    health: Health
    proven: bool
    in_flight: int
    claimed: int
    aborted: int
    joined_ns: int
    retired_ns: int | None
    deadline_ns: int | None
    probe: Probe | None
    streams: int = 0
    websockets: int = 0
    cut: int = 0
    requests: int = 0
    errors: int = 0
    ejected_by: EjectedBy | None = None
    ejected_ns: int | None = None
    falls: int = 0
    relapses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Requests that wait in the proxy: for a ready replica or, with `on`, until they are released."""

    on: bool = False
    held: int = 0
    bytes: int = 0
    oldest_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who holds the lease: enough to tell whether that process still lives."""

    host: str
    boot: str
    pid: int
    start: str
    command: str
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The one writer's hold on the routing (P8)."""

    owner: Owner
    fence: int
    expires_in_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The proxy's state at one instant. `seq` rises with every observable change."""

    seq: int
    epoch: int
    now_ns: int
    routes: tuple[Route, ...]
    lease: Lease | None
    run: str | None
    hold: Hold = Hold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """How the proxy proves a replica ready (P2). Seconds."""

    path: str = "/readyz"
    port: int = 8080
    passes: int = 2
    min_ready: float = 1.0
    interval: float = 1.0
    fast_interval: float = 0.02
    timeout: float = 1.0
    fails: int = 3
    identity: bool = True


class Engine(Protocol):
    """Replicas as containers. All acts are idempotent; EngineError is the environment's fault."""

    async def replicas(self) -> tuple[Seen, ...]: ...

    async def create(self, revision: Revision, *, name: str, slot: int, generation: int) -> str: ...

    async def start(self, container_id: str) -> None: ...

    async def stop(self, container_id: str) -> Seen | None:
        """Ask it to end, within its own stop grace period, then kill it; say how it ended."""
        ...

    async def delete(self, container_id: str) -> None: ...

    async def logs(self, container_id: str, *, tail: int | None = None) -> bytes: ...


class Gateway(Protocol):
    """The proxy's admin API. A change is acknowledged with the routing epoch, after it is on disk."""

    async def routing(self) -> Routing: ...

    async def join(self, seen: Seen, readiness: Readiness) -> int: ...

    async def admit(self, name: str) -> int: ...

    async def retire(self, name: str, *, drain_timeout: float) -> int: ...

    async def restore(self, name: str) -> int: ...

    async def remove(self, name: str, *, lost: bool) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What one look found. `whole`: these are all replicas there are; else only those that changed, and `gone`."""

    seq: int
    now_ns: int
    replicas: tuple[Replica, ...]
    gone: tuple[str, ...] = ()
    whole: bool = True


class Observer(Protocol):
    """Looks at the engine and the proxy together. `whole`: at everything; else what changed since is enough."""

    async def look(self, *, whole: bool) -> Sight: ...


class Traffic(Protocol):
    """What was measured since the run began."""

    def counted(self, revision: int) -> tuple[int, int]:
        """By the proxy, of a revision's replicas: (answers, server errors)."""
        ...

    def felt(self, revision: int) -> Felt:
        """By the users of the lab's load; nothing where there is none."""
        ...


class Inbox(Protocol):
    """What operators asked for since it was last read."""

    def heard(self) -> tuple[Asked, ...]: ...


class Watch(Protocol):
    """Waits until the world may have changed: an engine's event, a proxy's change, or the time is over."""

    async def changed(self, *, since: int, within: float) -> None: ...

    async def rest(self, seconds: float) -> None:
        """Only let the time pass: who cannot look need not be told that there is something to see."""
        ...


class Clock(Protocol):
    """The proxy's monotonic clock, as known here: one clock for every ledger."""

    def now_ns(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One journal record. `seq` is the journal's own number, 0 before it is written."""

    type: str
    run: str
    t_ns: int
    data: Mapping[str, Any]
    seq: int = 0
    wall: str = ""


class Journal(Protocol):
    """Append-only and durable: a record is on disk when `append` returns."""

    def append(self, type: str, run: str, t_ns: int, data: Mapping[str, Any]) -> Event: ...

    def events(self, *, run: str | None = None, types: Sequence[str] = ()) -> list[Event]: ...
