"""What the proof is given: the three ledgers as records, and what the controller knows of the run.

What there is a million of is a Struct: made in a tenth of the time of a frozen dataclass, and unseen by the collector.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from lab.proof.client_columns import ClientColumns
    from lab.proof.columns import View
    from lab.proof.ids import Ids
    from lab.proof.visit_columns import Visits

Int = Annotated[int, Meta(gt=-(2**63), lt=2**63 - 1)]
"""What a column holds."""
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class ClientOutcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    TRUNCATED = "truncated"
    CONTRACT = "contract"
    NOT_SENT = "not_sent"
    CLIENT_ABORT = "client_abort"
    CUT = "cut"


class AttemptResult(StrEnum):
    OK = "ok"
    CONNECT_FAILED = "connect_failed"
    CLOSED_BEFORE_RESPONSE = "closed_before_response"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"
    ABORTED_AT_DRAIN = "aborted_at_drain"
    CUT = "cut"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a ledger was read: what could not be used, and whether it stops in the middle of a line."""

    skipped: int = 0
    duplicates: int = 0
    conflicts: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    schema: str
    run: str
    t: int


# -- the client's ledger


class Offer(Struct, frozen=True, kw_only=True, gc=False):
    cohort: str
    method: str
    path: str
    due: Int
    t: Int

    @property
    def is_write(self) -> bool:
        return self.method in WRITES


class Fault(StrEnum):
    """What a mix of versions does to a request, or to what it reads. The load names it (loadtest/mixes.py)."""

    ERROR = "error"
    NULL = "null"
    STALE = "stale"
    LOST = "lost"
    STRIPPED = "stripped"
    DUP_MISS = "dup-miss"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """`writer`: the version that last wrote what was asked for; None: not known. `fault` None: it was read rightly."""

    writer: str | None = None
    fault: Fault | None = None
    field: str | None = None


class ClientEnd(Struct, frozen=True, kw_only=True, gc=False):
    t: Int
    outcome: ClientOutcome
    status: Int | None = None
    version: str | None = None
    replica: str | None = None
    reason: str | None = None
    error: str | None = None
    detail: str | None = None
    ack: Int | None = None
    mixed: Mixed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFooter:
    t: int
    offered: int
    not_sent: int
    lag_p99_ms: float
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLedger:
    """`ids` are those of all ledgers of the run that were read with them."""

    header: Header | None
    ids: "Ids"
    requests: "ClientColumns"
    footer: ClientFooter | None
    reading: Reading

    @property
    def offers(self) -> Mapping[str, Offer]:
        return self.requests.offers

    @property
    def ends(self) -> Mapping[str, ClientEnd]:
        return self.requests.ends


# -- the proxy's ledger


class Attempt(Struct, frozen=True, kw_only=True, gc=False):
    """`result` None: the ledger does not say how it ended."""

    number: int
    replica: str
    begun: int
    result: AttemptResult | None
    bytes_up: int | None

    @property
    def may_have_sent(self) -> bool:
        if self.bytes_up is None:
            return self.result is not AttemptResult.CONNECT_FAILED
        return self.bytes_up > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    reason: str
    status: int
    t: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The proxy came back at `t`. Of what it did after `seen_until`, and until it ended, there is no line.

    begun_until: its last line of an attempt begun. One that was told to stop takes nothing more, and finishes the rest.
    """

    begun_until: int
    seen_until: int
    t: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLedger:
    """`lost`: lines that the proxy itself says it could not write. cuts: answers were cut in it on purpose."""

    header: Header | None
    attempts: "View[tuple[Attempt, ...]]"
    rejects: Mapping[str, tuple[Reject, ...]]
    begins: int
    footer_attempts: int | None
    lost: int
    restarts: tuple[Restart, ...]
    reading: Reading
    cuts: bool = False


# -- the app's log, one a replica


class Visit(Struct, frozen=True, kw_only=True, gc=False):
    """A request as one replica saw it: begun, and answered if `ended` is set."""

    replica: str
    attempt: int
    begun: int
    ended: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlError:
    """`statement`: the one that was refused, where the app's log has it."""

    code: str
    message: str
    statement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLog:
    replica: str
    version: str | None
    visits: "Visits"
    errors: Mapping[str, SqlError]
    exited: bool
    foreign: int
    reading: Reading


# -- what the controller knows


class Command(StrEnum):
    ROLL = "roll"
    ROLLBACK = "rollback"
    LOAD = "load"
    """Nothing is rolled: one version under traffic."""


class Outcome(StrEnum):
    DONE = "done"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"
    ABORTED = "aborted"
    PAUSED = "paused"
    PAUSED_ENVIRONMENT = "paused-environment"
    INTERRUPTED = "interrupted"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the rollout did not reach its goal, in the shape of every failure of the lab."""

    what: str
    where: str = ""
    log: tuple[str, ...] = ()
    fix: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    start_ns: int
    end_ns: int
    replica: str | None = None
    wave: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """The end of one replica's service, and how exposed its requests were to it."""

    replica: str
    version: str
    in_flight_at_retire: int | None = None
    in_flight_at_stop: int | None = None
    exit_code: int | None = None
    oom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A replica of the version that was rolled, from its admission to its retirement or death. None: it goes on."""

    replica: str
    from_ns: int
    until_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    replica: str
    t_ns: int
    exit_code: int | None = None
    oom: bool = False
    expected: bool = False


class Execution(Struct, frozen=True, kw_only=True, gc=False):
    """One row of the database's append-only table: a write that a replica began to execute."""

    request_id: str
    attempt: int
    operation: str
    replica: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A phase of the schema and the versions that are right on it. `command`: the step that leads to it.

    contracts: it takes versions away.
    """

    phase: str
    serves: frozenset[str]
    command: str
    contracts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """`executions` or `parcels` None: the database was not read, so no write is proved by it.

    earlier: of each earlier roll between the same versions, whether it dropped something.
    stored: how many of the parcels have a key of this run.
    clock_error_ns: how far the journal's times may be from the ledgers'. None: it was not measured.
    overstayed: replicas that had to be killed, as they had not ended when their stop grace was over.
    promises: the phases of the schema's plan, in order. serves_as: version -> the name that the plan has for it.
    ledger: whether the app keeps one; only the sample app does, and no write of another is proved.
    fleet: of an app without one, the version of each replica that is there at the end.
    """

    run: str
    project: str
    command: Command
    from_version: str
    to_version: str
    started_ns: int
    ended_ns: int
    rollout: Outcome
    reason: str = ""
    failure: Failure | None = None
    schema_before: str | None = None
    schema_after: str | None = None
    schema_mode: str = "auto"
    marks: tuple[str, ...] = ()
    min_requests: int = 500
    slow_objective_ms: float | None = None
    steps: tuple[Step, ...] = ()
    swaps: tuple[Swap, ...] = ()
    services: tuple[Service, ...] = ()
    deaths: tuple[Death, ...] = ()
    clock_error_ns: int | None = None
    overstayed: tuple[str, ...] = ()
    executions: tuple[Execution, ...] | None = None
    parcels: frozenset[int] | None = None
    stored: int | None = None
    earlier: tuple[bool, ...] = ()
    promises: tuple[Promise, ...] = ()
    serves_as: Mapping[str, str] = field(default_factory=dict)
    ledger: bool = True
    fleet: Mapping[str, str] = field(default_factory=dict)

    def seconds(self, t_ns: int) -> float:
        """From the start of the roll; negative in the baseline."""
        return round((t_ns - self.started_ns) / 1e9, 3)
