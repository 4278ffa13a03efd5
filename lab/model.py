"""The lab's nouns. StrEnum values are the words used in JSON, in the journal and on the screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from inspect import ismemberdescriptor

from lab.gates import Gate


class Order(StrEnum):
    """Which of the two replicas of a slot goes first during its replacement."""

    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"


class Strategy(StrEnum):
    """How replacements follow each other, within the same budgets."""

    WAVES = "waves"
    """A batch at a time: the next begins when the last one serves."""
    ROLLING = "rolling"
    """As soon as the budgets allow, one by one."""
    RECREATE = "recreate"
    """All old ones leave before the first new one is made: for contrast."""


class OnFail(StrEnum):
    """What becomes of a rollout whose version failed."""

    ROLLBACK = "rollback"
    PAUSE = "pause"
    ABORT = "abort"


class Command(StrEnum):
    """What an operator may ask of a rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"
    ROLLBACK = "rollback"
    SCALE = "scale"


class Cause(StrEnum):
    """Whose doing it is that a rollout leaves its way."""

    VERSION = "version"
    GATE = "gate"
    NO_DATA = "no-data"
    """A gate had too few samples to say anything (P7)."""
    ENVIRONMENT = "environment"
    OPERATOR = "operator"
    STALL = "stall"


class SchemaMode(StrEnum):
    """What a rollout may do about the schema."""

    AUTO = "auto"
    AS_IS = "as-is"


class LoadFrom(StrEnum):
    """Where the load runs."""

    CONTAINER = "container"
    HOST = "host"


class Container(StrEnum):
    """What the engine says of a replica's container."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class Place(StrEnum):
    """A replica's place in the proxy's routing; the controller decides it."""

    JOINING = "joining"
    READY = "ready"
    DRAINING = "draining"
    REMOVABLE = "removable"


class Health(StrEnum):
    """What the proxy's probes say of a replica. Only `up` is given requests."""

    UP = "up"
    EJECTED = "ejected"
    UNPROVEN = "unproven"
    """The proxy came back, and has not probed it since."""


class Check(StrEnum):
    """What the engine says of a container's own healthcheck, where it has one."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class EjectedBy(StrEnum):
    """What took a replica's health away."""

    PROBE = "probe"
    ERRORS = "errors"


class Ending(StrEnum):
    """How a rollout ended. Every one is absorbing."""

    DONE = "done"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    ABORTED = "aborted"
    PAUSED = "paused"
    PAUSED_BY_ENVIRONMENT = "paused-environment"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The last readiness probe of a replica, as the proxy made it."""

    ok: bool
    status: int | None
    body: str
    error: str = ""
    """What was wrong with it, in the proxy's words."""

    @property
    def said(self) -> str:
        # an answer that is not ready says why itself; of the others only the proxy knows
        why = self.error if self.status in {None, 200} else self.body
        return " ".join(str(part) for part in (self.status, why or self.body) if part) or "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One container filling a slot, as the engine and the proxy see it at one instant.

    `place` is None while the proxy does not know it. `proven` means that the proxy would admit it. Times are the
    proxy's monotonic nanoseconds. `falls`: how often it was ejected, since `ejected_ns` if it is. `relapses`: how often
    a probe failed after one that had passed. `check` is None where the container has no healthcheck; `check_said` is
    what that printed last while it is unhealthy.
    """

    name: str
    slot: int
    generation: int
    revision: int
    version: str
    container: Container
    container_id: str = ""
    address: str = ""
    exit_code: int | None = None
    oom: bool = False
    check: Check | None = None
    check_said: str = ""
    place: Place | None = None
    health: Health = Health.UP
    ejected_by: EjectedBy | None = None
    ejected_ns: int | None = None
    falls: int = 0
    relapses: int = 0
    proven: bool = False
    in_flight: int = 0
    streams: int = 0
    websockets: int = 0
    joined_ns: int | None = None
    retired_ns: int | None = None
    deadline_ns: int | None = None
    aborted: int = 0
    cut: int = 0
    requests: int = 0
    errors: int = 0
    probe: Probe | None = None

    @property
    def alive(self) -> bool:
        return self.container is Container.RUNNING

    @property
    def available(self) -> bool:
        """It serves: what P3 counts as ready."""
        return self.place is Place.READY and self.health is Health.UP and self.container is Container.RUNNING

    @property
    def admissible(self) -> bool:
        """The proxy has proved it, and its healthcheck has passed if it has one: both once, before it joins (P2)."""
        return self.proven and self.check in {None, Check.HEALTHY}

    @property
    def may_serve(self) -> bool:
        """It serves, or did when it was last known: its retirement is not free."""
        return self.available or (self.alive and self.place is Place.READY and self.health is Health.UNPROVEN)

    @property
    def retiring(self) -> bool:
        return self.place in {Place.DRAINING, Place.REMOVABLE}

    @property
    def endless(self) -> str:
        """What of it in flight does not end by itself, in words."""
        counts = ((self.streams, "stream"), (self.websockets, "WebSocket"))
        return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count)


_FIELDS = [
    (name, member.__get__, member.__set__) for name, member in vars(Replica).items() if ismemberdescriptor(member)
]


def changed(r: Replica, change: Mapping[str, object]) -> Replica:
    """`dataclasses.replace`, three times as fast: half of what a simulation does."""
    new = object.__new__(Replica)
    for name, get, put in _FIELDS:
        put(new, change[name] if name in change else get(r))
    return new


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A version as rolled out at a time. `spec` is what the engine needs to make a replica of it, as JSON."""

    number: int
    version: str
    serves_as: str
    image_id: str
    spec: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpec:
    """How a fleet is taken to a revision. Durations in seconds.

    `retries`: how often a slot may try again after a replica that never became ready. `restarts`: how often one that
    was ready may die. `max_failure_ratio`: of all slots, so many may fail before the version has failed; more than
    that, not as many. `hold_timeout`: how long the environment may fail before the rollout pauses.
    """

    target: int
    replicas: int
    surge: int
    unavailable: int
    back_to: int | None = None
    service: str = "app"
    strategy: Strategy = Strategy.WAVES
    on_fail: OnFail = OnFail.ROLLBACK
    ready_timeout: float = 30.0
    drain_timeout: float = 30.0
    progress_timeout: float = 600.0
    hold_timeout: float = 0.0
    wave_bake: float = 0.0
    bake: float = 0.0
    gates: tuple[Gate, ...] = ()
    gate_patience: float = 60.0
    retries: int = 0
    restarts: int = 3
    max_failure_ratio: float = 0.0
    wait_for_drain: bool = True
    since_ns: int = 0
    """When the rollout began: a replica found joining then has the whole ready timeout before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One side effect on one replica. `revision`: of which it is, or is to be made."""

    verb: "Verb"
    replica: str
    slot: int
    generation: int
    revision: int


class Verb(StrEnum):
    """The side effects there are; each is idempotent."""

    CREATE = "create"
    START = "start"
    JOIN = "join"
    ADMIT = "admit"
    RETIRE = "retire"
    RESTORE = "restore"
    STOP = "stop"
    UNROUTE = "unroute"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command that an operator gave and nobody has answered. `number` is that of its journal record."""

    number: int
    command: Command
    replicas: int | None = None
    to: int | None = None


def replica_name(service: str, slot: int, generation: int) -> str:
    return f"{service}-{slot}.{generation}"


def ending_words(exit_code: int | None, *, oom: bool = False) -> str:
    """How a replica ended. No code: its container was taken away by somebody else."""
    if exit_code is None:
        return "its container is gone"
    return f"exit code {exit_code}" + (", out of memory" if oom else "")
