"""From ledgers and facts to the verdict: every request gets its class, and every drop its story."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from lab.proof.answers import Answers
from lab.proof.balance import BalanceCount
from lab.proof.blast import BlastCount, is_told
from lab.proof.bounds import bound
from lab.proof.breakages import breakages
from lab.proof.classes import classify, is_drop
from lab.proof.comparison import compare
from lab.proof.drops import Fleet, drop_of, fleet_of, left_unanswered, losses, replica_of, version_of
from lab.proof.exit_codes import exit_code
from lab.proof.exposure import ExposureCount, unexposed_doubt
from lab.proof.join import Joined, join
from lab.proof.latency import summarize
from lab.proof.mixes import MixCount
from lab.proof.notes import notes
from lab.proof.records import AppLog, ClientEnd, ClientLedger, ClientOutcome, Outcome, ProxyLedger, Restart, RunFacts
from lab.proof.restarts import restart_behind, summarize_restarts
from lab.proof.result import Bounds, Class, Drop, Reason, RunEcho, Verdict, VerdictOutcome
from lab.proof.validity import doubts

CUT_SWITCH = "cut-switch"
SLOW_ON_PURPOSE = frozenset({"slow", "stream", "websocket"})


def judge(
    facts: RunFacts,
    client: ClientLedger | None,
    proxy: ProxyLedger | None,
    apps: Iterable[AppLog],
    *,
    strict: bool = False,
    slow_cohorts: frozenset[str] = SLOW_ON_PURPOSE,
) -> Verdict:
    """No client ledger means no load: the verdict then reads "not measured"."""
    logs = tuple(apps)
    facts = _marked(facts, proxy)
    came_back = () if proxy is None else proxy.restarts
    fleet = fleet_of(facts, logs)
    counts = BlastCount(facts, fleet), ExposureCount(facts), MixCount(facts, fleet)
    count = _Count(facts, fleet, came_back, *counts, strict=strict, slow_cohorts=slow_cohorts)
    if client is not None:
        for joined in join(client, proxy, logs, facts.executions):
            count.take(joined)
    drops = tuple(sorted(count.drops, key=lambda drop: drop.when_s))
    judged = count.answered_ok + len(drops)
    exposure = count.exposure.table(measured=client is not None and proxy is not None)
    reasons = (
        ()
        if client is None
        else (
            *doubts(facts, client, proxy, count.classes, judged),
            *unexposed_doubt(exposure, ledger=facts.ledger),
            *count.balance.doubts(facts.stored),
        )
    )
    outcome = _outcome(client, drops, reasons)
    restarts = summarize_restarts(facts, came_back, count.dropped_by, count.unwritten)
    return Verdict(
        outcome=outcome,
        exit_code=exit_code(facts.rollout, outcome),
        run=_echo(facts),
        reasons=reasons,
        notes=notes(facts, client, count.classes, drops, count.asked - count.fleet.logged, restarts=restarts),
        offered=count.classes.total(),
        judged=judged,
        answered_ok=count.answered_ok,
        dropped=len(drops),
        dropped_by_class=dict(sorted(Counter(drop.cls for drop in drops).items())),
        masked=count.classes[Class.MASKED],
        open=count.classes[Class.OPEN],
        not_sent=count.classes[Class.NOT_SENT],
        client_aborts=count.classes[Class.CLIENT_ABORT],
        begun_unanswered=count.begun_unanswered,
        slow=count.slow,
        latency=summarize(count.answers.took, slow_cohorts),
        versions=dict(sorted(count.versions.items())),
        drops=drops,
        schema_breakages=breakages(facts, count.fleet, count.failed),
        deaths=losses(facts, drops, count.fleet),
        exposure=exposure,
        cut=count.classes[Class.CUT],
        restarts=restarts,
        blast=count.blast.blast(None if client is None else count.classes.total())
        if is_told(facts.rollout, outcome)
        else None,
        bounds=Bounds() if client is None else _bounds(facts, count, outcome, judged, len(drops)),
        comparison=compare(count.answers, facts.services, facts.from_version, facts.to_version)
        if client is not None and facts.services
        else None,
        pairs=count.mixed.pairs(),
        mixes=count.mixed.mixes(),
    )


def _marked(facts: RunFacts, proxy: ProxyLedger | None) -> RunFacts:
    """A run with a fault that was asked for says so itself, whoever asked."""
    cuts = proxy is not None and proxy.cuts
    return replace(facts, marks=(*facts.marks, CUT_SWITCH)) if cuts else facts


def _bounds(facts: RunFacts, count: "_Count", outcome: VerdictOutcome, judged: int, dropped: int) -> Bounds:
    rolls = list(facts.earlier)
    if facts.rollout is Outcome.DONE and outcome is not VerdictOutcome.INCONCLUSIVE:
        rolls.append(dropped > 0)
    return Bounds(
        run=bound(dropped, judged),
        exposed=bound(count.exposure.dropped, count.exposure.exposed),
        rolls=bound(sum(rolls), len(rolls)),
    )


def _outcome(client: ClientLedger | None, drops: tuple[Drop, ...], reasons: tuple[Reason, ...]) -> VerdictOutcome:
    """A drop that was seen is a fact, whatever else is in doubt."""
    if client is None:
        return VerdictOutcome.NOT_MEASURED
    if drops:
        return VerdictOutcome.FAIL
    return VerdictOutcome.INCONCLUSIVE if reasons else VerdictOutcome.PASS


@dataclass(slots=True)
class _Count:
    facts: RunFacts
    fleet: Fleet
    restarts: tuple[Restart, ...]
    blast: BlastCount
    exposure: ExposureCount
    mixed: MixCount
    balance: BalanceCount = field(default_factory=BalanceCount)
    strict: bool = field(kw_only=True)
    slow_cohorts: frozenset[str] = field(kw_only=True)
    classes: Counter[Class] = field(default_factory=Counter)
    drops: list[Drop] = field(default_factory=list)
    dropped_by: Counter[Restart] = field(default_factory=Counter)
    unwritten: Counter[Restart] = field(default_factory=Counter)
    failed: list[Joined] = field(default_factory=list)
    answered_ok: int = 0
    begun_unanswered: int = 0
    slow: int = 0
    answers: Answers = field(default_factory=Answers)
    versions: Counter[str] = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)

    def take(self, joined: Joined) -> None:
        cls = classify(joined, self.facts.parcels)
        self.classes[cls] += 1
        self.blast.take(joined, cls)
        self.mixed.take(joined)
        self.balance.take(joined)
        for attempt in joined.attempts or ():
            self.asked.add(attempt.replica)
        if joined.end is None:
            self.begun_unanswered += left_unanswered(joined, self.fleet)
            return
        version = self._answered_by(joined, joined.end)
        if version is not None:
            self.versions[version] += 1
        if cls is Class.CUT:
            return
        ok = joined.end.outcome is ClientOutcome.OK
        # a whole answer in the client's hands outweighs a last line that the dying replica did not write
        if not ok:
            self.begun_unanswered += left_unanswered(joined, self.fleet)
        self._sort(joined, joined.end, cls, ok=ok)

    def _answered_by(self, joined: Joined, end: ClientEnd) -> str | None:
        """The version that says so itself; of an app that does not, the one that the proxy's ledger leads to."""
        if self.facts.ledger or end.status is None or end.reason is not None:
            return end.version
        return version_of(joined, self.fleet)

    def _sort(self, joined: Joined, end: ClientEnd, cls: Class, *, ok: bool) -> None:
        dropped = is_drop(cls, joined.offer, strict=self.strict)
        if dropped or ok:
            self.exposure.take(joined, dropped=dropped)
        if dropped:
            restart = restart_behind(joined, self.restarts)
            if restart is not None:
                self.dropped_by[restart] += 1
            self.drops.append(drop_of(joined, end, cls, self.facts, self.fleet, restart=restart))
            self.failed.append(joined)
        elif ok:
            self.answered_ok += 1
            if joined.unwritten is not None and cls is Class.GOOD:
                self.unwritten[joined.unwritten] += 1
        if ok and joined.offer.cohort not in self.slow_cohorts:
            latency = end.t - joined.offer.due
            self.answers.add(joined.offer.due, latency, replica_of(joined))
            objective = self.facts.slow_objective_ms
            self.slow += objective is not None and latency > objective * 1e6


def _echo(facts: RunFacts) -> RunEcho:
    return RunEcho(
        run=facts.run,
        project=facts.project,
        command=facts.command,
        from_version=facts.from_version,
        to_version=facts.to_version,
        rollout=facts.rollout,
        duration_s=round((facts.ended_ns - facts.started_ns) / 1e9, 3),
        reason=facts.reason,
        failure=facts.failure,
        schema_before=facts.schema_before,
        schema_after=facts.schema_after,
        schema_mode=facts.schema_mode,
        marks=facts.marks,
        min_requests=facts.min_requests,
        clock_error_ms=None if facts.clock_error_ns is None else round(facts.clock_error_ns / 1e6, 3),
    )
