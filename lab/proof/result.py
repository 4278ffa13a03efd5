"""What the proof says: the verdict and its parts. The values of the enums are the words used in JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lab.proof.records import Command, Failure, Fault, Outcome


class Class(StrEnum):
    """What became of one request. Each has exactly one class."""

    GOOD = "good"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    TRUNCATED = "truncated"
    CONTRACT = "contract"
    LOST_WRITE = "lost_write"
    DUPLICATE = "duplicate"
    MASKED = "masked"
    NOT_SENT = "not_sent"
    CLIENT_ABORT = "client_abort"
    OPEN = "open"
    BYPASSED = "bypassed"
    MISROUTED = "misrouted"
    CUT = "cut"


CODES: Mapping[Class, str] = {
    Class.REFUSED: "D1",
    Class.RESET: "D2",
    Class.TIMEOUT: "D3",
    Class.SERVER_ERROR: "D4",
    Class.TRUNCATED: "D5",
    Class.CONTRACT: "D6",
    Class.LOST_WRITE: "D7",
    Class.DUPLICATE: "D8",
    Class.MASKED: "D9",
}


class MadeBy(StrEnum):
    PROXY = "proxy"
    APP = "app"


class AppSaw(StrEnum):
    NOT_BEGUN = "not begun"
    UNANSWERED = "begun, unanswered"
    ANSWERED = "answered"
    NO_LOG = "no log"


class VerdictOutcome(StrEnum):
    PASS = "pass"  # noqa: S105  the word of a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_MEASURED = "not-measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An attempt of the proxy at a request. `result` None: its ledger does not say how it ended.

    generation: the how-manieth container of its slot the replica is.
    """

    number: int
    replica: str
    generation: int | None
    version: str | None
    begun_s: float
    result: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """One dropped request. Times count from the start of the roll and are negative in the baseline.

    when_s: when it failed, at the client. reason: the proxy's, where the answer is of its making.
    doing: the controller's acts under way when it failed, or, where it ran out of time, when it was last tried.
    """

    id: str
    cls: Class
    cohort: str
    method: str
    path: str
    when_s: float
    replica: str | None
    version: str | None
    step: str | None
    detail: str
    app_saw: AppSaw
    made_by: MadeBy | None = None
    status: int | None = None
    executions: int | None = None
    reason: str | None = None
    due_s: float | None = None
    sent_s: float | None = None
    attempts: tuple[Tried, ...] = ()
    doing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """A version that does not work with a schema phase, as the database said it.

    statement: the one that was refused, where the app's log has it. since_s, until_s: as `when_s` of a drop.
    promised: the plan says that it does work; None: no plan. example: the first such request. fix: what to do.
    """

    version: str
    phase: str
    code: str
    message: str
    count: int
    statement: str = ""
    since_s: float | None = None
    until_s: float | None = None
    example: str = ""
    promised: bool | None = None
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What one version wrote, as another answered it: so many answers were held against what was known."""

    writer: str
    reader: str
    read: int
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What a pair of versions did on a phase. `writer` None: not known. `field`: the first.

    code: SQLSTATE of an `error`; one without is a refusal, such as a 404. The rest as of `Breakage`.
    """

    fault: Fault
    writer: str | None
    reader: str
    phase: str
    count: int
    since_s: float
    until_s: float
    field: str | None
    detail: str
    example: str
    promised: bool | None
    fix: str
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A container that died, and what was dropped on it."""

    replica: str
    version: str | None
    when_s: float
    exit_code: int | None
    oom: bool
    expected: bool
    dropped_by_class: Mapping[Class, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRestart:
    """The proxy came back. `unwritten`: good answers just before it that are not in its ledger any more."""

    when_s: float
    dropped: int
    unwritten: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why there is no clean pass, and what to do about it."""

    id: str
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From the due time, of requests that got a correct answer; without the cohorts that are slow on purpose."""

    p50_ms: float | None
    p99_ms: float | None
    samples: int
    excluded_cohorts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A swap: the end of one replica's service, and what could have been dropped by it.

    The in-flight counts are what the controller saw; the others are counted in the ledgers, None where there is no
    load or it was never retired. under_way: requests that it had when it was retired. undecided: those
    of which the clocks' error hides whether it had them then. near: those it had within
    200 ms of its retirement or its stop. exposed: those it had from 200 ms before the one until 200 ms after the other,
    and those that no replica was asked for in that time.
    """

    replica: str
    version: str
    in_flight_at_retire: int | None = None
    in_flight_at_stop: int | None = None
    exit_code: int | None = None
    oom: bool = False
    under_way: int | None = None
    near: int | None = None
    exposed: int | None = None
    dropped: int | None = None
    unexposed: bool | None = None
    undecided: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """So many were dropped; with 95 % confidence their true share is `at_most` that."""

    dropped: int
    of: int
    at_most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of all requests judged, of those that a swap put at risk, and of the rolls between these versions up to this."""

    run: Bound | None = None
    exposed: Bound | None = None
    rolls: Bound | None = None


class Pace(StrEnum):
    """How the new version's latency compares with the old one's."""

    OK = "ok"
    WORSE = "worse"
    TOO_LITTLE = "too-little-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A percentile, new against old in the same instants: the median of the ratios, and its limits at 95 % each.

    pairs: instants, each `width_s` long, in which both versions answered enough requests. The milliseconds are medians
    over them, `more_ms` that of the differences.
    """

    percent: int
    pairs: int
    width_s: float
    ratio: float
    low: float
    high: float
    old_ms: float
    new_ms: float
    more_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`changes`: of the percentiles that there was enough to tell of."""

    outcome: Pace
    old: str
    new: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """What a version that was not kept, or that failed, had to do with the users' requests.

    seconds: from its first admission to its last retirement or death. replicas: how many of it were admitted.
    answered: requests that it answered; errors: those of them that were server errors or wrong. unanswered: requests
    whose last attempt went to it and got no whole answer. share: all these, of all requests of the run. None: no load.
    """

    version: str
    replicas: int
    seconds: float
    answered: int | None = None
    errors: int | None = None
    unanswered: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEcho:
    run: str
    project: str
    command: Command
    from_version: str
    to_version: str
    rollout: Outcome
    duration_s: float
    reason: str
    failure: Failure | None
    schema_before: str | None
    schema_after: str | None
    schema_mode: str
    marks: tuple[str, ...]
    min_requests: int
    clock_error_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`judged` = `answered_ok` + `dropped`: the requests this verdict speaks of.

    `masked` counts what only a retry saved: writes among them are dropped, reads are only told.
    `cut` counts streams and WebSockets that a drain deadline ended in order and that were there again within a second:
    they are not judged.
    """

    outcome: VerdictOutcome
    exit_code: int
    run: RunEcho
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    offered: int
    judged: int
    answered_ok: int
    dropped: int
    dropped_by_class: Mapping[Class, int]
    masked: int
    open: int
    not_sent: int
    client_aborts: int
    begun_unanswered: int
    slow: int
    latency: Latency
    versions: Mapping[str, int]
    drops: tuple[Drop, ...]
    schema_breakages: tuple[Breakage, ...]
    deaths: tuple[Loss, ...]
    exposure: tuple[Exposure, ...]
    cut: int = 0
    restarts: tuple[ProxyRestart, ...] = ()
    blast: Blast | None = None
    bounds: Bounds = Bounds()
    comparison: Comparison | None = None
    pairs: tuple[Pair, ...] = ()
    mixes: tuple[Mix, ...] = ()
