"""A verdict of every kind that a report can be of."""

from dataclasses import replace

from lab.proof import (
    Class,
    Command,
    Drop,
    Failure,
    Outcome,
    Reason,
    Verdict,
    VerdictOutcome,
    judge,
)
from lab.proof.records import Fault
from lab.proof.result import (
    AppSaw,
    Blast,
    Bound,
    Bounds,
    Breakage,
    Change,
    Comparison,
    Exposure,
    Latency,
    Loss,
    MadeBy,
    Mix,
    Pace,
    Pair,
    Tried,
)
from tests.unit.proof_world import facts


def passed() -> Verdict:
    blank = judge(replace(facts(), ended_ns=facts().started_ns + 9_800_000_000), None, None, ())
    return replace(
        blank,
        run=replace(blank.run, run="20260102-030405-v1-v2"),
        outcome=VerdictOutcome.PASS,
        offered=1412,
        judged=1412,
        answered_ok=1412,
        latency=Latency(p50_ms=14.2, p99_ms=83.4, samples=1300, excluded_cohorts=("slow",)),
        versions={"v1": 700, "v2": 712},
        exposure=(
            Exposure(
                replica="app-1.1",
                version="v1",
                in_flight_at_retire=5,
                in_flight_at_stop=0,
                exit_code=0,
                under_way=6,
                near=11,
                exposed=31,
                dropped=0,
                unexposed=False,
            ),
            Exposure(replica="app-2.1", version="v1", in_flight_at_retire=12, exit_code=137, oom=True),
        ),
    )


def bounded(verdict: Verdict) -> Verdict:
    bounds = Bounds(
        run=Bound(dropped=0, of=1412, at_most=0.00212),
        exposed=Bound(dropped=0, of=88, at_most=0.0335),
        rolls=Bound(dropped=0, of=12, at_most=0.221),
    )
    return replace(verdict, bounds=bounds)


def slower() -> Comparison:
    median = Change(
        percent=50,
        pairs=14,
        width_s=0.5,
        ratio=1.07,
        low=0.98,
        high=1.12,
        old_ms=14.1,
        new_ms=15.0,
        more_ms=0.9,
    )
    tail = replace(median, percent=95, pairs=9, width_s=1.0, ratio=1.52, low=1.41, high=1.63, new_ms=61.5, more_ms=21.3)
    return Comparison(outcome=Pace.WORSE, old="v1", new="v2", changes=(median, replace(tail, old_ms=40.2)))


def drop(number: int, when_s: float, **changes: object) -> Drop:
    base = Drop(
        id=f"r1-read-{number}",
        cls=Class.RESET,
        cohort="read",
        method="GET",
        path="/parcels",
        when_s=when_s,
        replica="app-2.1",
        version="v1",
        step="stop",
        detail="waiting for the first byte: the connection was closed; proxy: closed_before_response (app-2.1)",
        app_saw=AppSaw.UNANSWERED,
        due_s=round(when_s - 0.043, 3),
        sent_s=round(when_s - 0.04, 3),
        attempts=(
            Tried(
                number=1,
                replica="app-2.1",
                generation=1,
                version="v1",
                begun_s=round(when_s - 0.039, 3),
                result="closed_before_response",
            ),
        ),
        doing=("stop app-2.1", "create app-3.2"),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # the fields of a Drop by name


def failing(*drops: Drop) -> Verdict:
    by_class = {cls: sum(found.cls is cls for found in drops) for cls in dict.fromkeys(found.cls for found in drops)}
    return replace(
        passed(),
        outcome=VerdictOutcome.FAIL,
        exit_code=1,
        judged=1500,
        dropped=len(drops),
        dropped_by_class=by_class,
        drops=drops,
    )


def dropped() -> Verdict:
    rejected = drop(
        9,
        5.1,
        cls=Class.SERVER_ERROR,
        replica=None,
        step=None,
        app_saw=AppSaw.NOT_BEGUN,
        made_by=MadeBy.PROXY,
        detail="status 503, made by the proxy: no-ready-replica",
    )
    resets = [drop(number, 4.1 + number / 50) for number in range(6)]
    return replace(failing(*resets, rejected), begun_unanswered=6)


def killed() -> Verdict:
    loss = Loss(
        replica="app-2.1",
        version="v1",
        when_s=4.09,
        exit_code=137,
        oom=False,
        expected=False,
        dropped_by_class={Class.RESET: 5, Class.TRUNCATED: 1},
    )
    cuts = [drop(number, 4.1) for number in range(5)]
    out_of_memory = replace(loss, replica="app-3.1", oom=True, when_s=6.0, dropped_by_class={})
    told_to = replace(loss, replica="app-1.1", expected=True)
    verdict = failing(*cuts, drop(6, 4.2, cls=Class.TRUNCATED, detail="inside the body: the connection was closed"))
    return replace(verdict, deaths=(loss, out_of_memory, told_to), begun_unanswered=6)


def schema_breakage() -> Verdict:
    message = 'column "first_name" of relation "parcels" does not exist'
    fails = [
        drop(
            number,
            3.0 + number,
            cls=Class.SERVER_ERROR,
            made_by=MadeBy.APP,
            replica="app-1.2",
            version="v2",
            step="start",
            app_saw=AppSaw.ANSWERED,
            detail=f"42703 {message}",
        )
        for number in range(3)
    ]
    expand = "lab migrate expand, then lab migrate backfill     backfilled serves v2"
    statement = "insert into parcels (key, first_name, last_name) values (%(key)s, %(first_name)s, %(last_name)s)"
    found = (
        Breakage(
            version="v2",
            phase="base",
            code="42703",
            message=message,
            count=2,
            statement=statement,
            since_s=3.0,
            until_s=5.0,
            example="r1-write-3",
            promised=False,
            fix=expand,
        ),
        Breakage(version="v2", phase="base", code="42P01", message='relation "x" does not exist', count=1),
        Breakage(
            version="v1", phase="contracted", code="42703", message="no recipient_name", count=4000, promised=True
        ),
    )
    return replace(failing(*fails), schema_breakages=found, notes=("run with anyway",))


def stale() -> Verdict:
    mixes = (
        Mix(
            fault=Fault.STALE,
            writer="v2",
            reader="v1",
            count=41,
            since_s=6.2,
            field="recipient_name",
            detail="v1 answered: recipient_name is 'Ada Hopper', not 'Grace Suzuki'",
            phase="backfilled",
            until_s=14.0,
            example="r1-read_your_writes-77",
            promised=True,
            fix="lab rollback takes v2 out of it again; then mend the schema's plan",
        ),
        Mix(
            fault=Fault.NULL,
            writer=None,
            reader="v2",
            count=1,
            since_s=6.2,
            field="first_name",
            detail="v2 must answer with text: first_name is None",
            phase="expanded",
            until_s=6.2,
            example="r1-read-78",
            promised=False,
            fix="lab migrate backfill     backfilled serves v2",
        ),
    )
    error = replace(mixes[0], fault=Fault.ERROR, count=1)
    mixes = (
        *mixes,
        replace(error, code="42703", detail="it stands among the breakages"),
        replace(error, code="08006", detail="500 08006 no connection within 3 s"),
    )
    refused = Breakage(
        version="v2",
        phase="backfilled",
        code="23505",
        message='duplicate key value violates unique constraint "parcels_address"',
        count=1,
        statement="insert into parcels (key, address) values (%(key)s, %(address)s)",
        since_s=6.2,
        until_s=6.2,
        promised=True,
        fix="lab rollback takes v2 out of it again; then mend the schema's plan",
    )
    pairs = (Pair(writer="v1", reader="v1", read=412, wrong=0), Pair(writer="v2", reader="v1", read=96, wrong=41))
    drops = [drop(n, 6.2 + n / 10, cls=Class.CONTRACT, made_by=None, replica="app-1.1") for n in range(41)]
    return replace(
        failing(*drops),
        mixes=mixes,
        pairs=pairs,
        schema_breakages=(refused, replace(refused, code="42703", message="no name")),
    )


def never_ready() -> Verdict:
    verdict = passed()
    failure = Failure(
        what='app-2.2 not ready for 30s; last probe: 503 {"ready": false, "detail": "never"}',
        where="wave 1/3, container lab-default-app-2 (3f9c12), phase starting",
        log=("starting v2-never-ready", "listening on 8080"),
        fix="lab logs app-2.2          then: lab roll v2",
        more="lab doctor | lab status",
    )
    run = replace(
        verdict.run,
        to_version="v2-never-ready",
        rollout=Outcome.ROLLED_BACK,
        duration_s=33.4,
        reason="v2-never-ready never became ready",
        failure=failure,
    )
    blast = Blast(version="v2-never-ready", replicas=0, seconds=0.0, answered=0, errors=0, unanswered=0, share=0.0)
    return replace(verdict, run=run, exit_code=1, blast=blast)


def never_ready_and_dropped() -> Verdict:
    return replace(failing(drop(1, 4.1)), run=never_ready().run)


def bad(version: str, ending: Outcome, reason: str, blast: Blast) -> Verdict:
    failure = Failure(what=reason, fix=f"mend {version} and roll it again")
    verdict = replace(passed(), exit_code=1, blast=blast)
    return replace(
        verdict, run=replace(verdict.run, to_version=version, rollout=ending, reason=reason, failure=failure)
    )


def failed_gate() -> Verdict:
    version, reason = "v2-answers-errors", "error-ratio 33.33% (20 of 60 requests), limit 5.00%"
    blast = Blast(version=version, replicas=1, seconds=6.12, answered=212, errors=71, unanswered=0, share=0.1501)
    return bad(version, Outcome.ROLLED_BACK, reason, blast)


def died_after_ready() -> Verdict:
    version, reason = "v2-dies-after-ready", "app-1.5 died after it was ready, 4 deaths in its slot"
    blast = Blast(version=version, replicas=4, seconds=14.9, answered=1402, errors=0, unanswered=9, share=0.5)
    return bad(version, Outcome.ABORTED, reason, blast)


def not_measured_gate() -> Verdict:
    version, reason = "v2-answers-errors", "inconclusive: error-ratio: 0 requests, at least 50 are needed"
    verdict = bad(version, Outcome.PAUSED, reason, Blast(version=version, replicas=1, seconds=67.0))
    return replace(verdict, outcome=VerdictOutcome.NOT_MEASURED)


def inconclusive() -> Verdict:
    reasons = (
        Reason(
            id="too-few-requests", message="too few requests to tell: 212 of the 500 wanted", fix="offer more: --rate"
        ),
        Reason(id="open-requests", message="requests were offered and never ended (3 open)", fix="lab logs load"),
    )
    return replace(
        passed(), outcome=VerdictOutcome.INCONCLUSIVE, exit_code=4, judged=212, answered_ok=212, reasons=reasons
    )


def fail_in_doubt() -> Verdict:
    return replace(failing(drop(1, 4.1)), reasons=inconclusive().reasons[1:])


def not_measured() -> Verdict:
    return judge(facts(), None, None, ())


def restarted() -> Verdict:
    held = drop(
        1,
        4.3,
        cls=Class.SERVER_ERROR,
        replica=None,
        app_saw=AppSaw.NOT_BEGUN,
        made_by=MadeBy.PROXY,
        reason="hold-timeout",
        detail="held, and no replica became ready (hold-timeout)",
    )
    full = replace(held, reason="hold-full", detail="no room was left to hold it (hold-full)", when_s=4.5)
    note = "the proxy restarted, and was back at 4.3s; dropped requests in flight at it or refused around it: 3"
    return replace(failing(held, replace(held, when_s=4.4), full), cut=12, notes=(note,))


def cut() -> Verdict:
    note = "streams and WebSockets ended in order at a drain deadline, and there again within 1s (cut): 12"
    return replace(passed(), cut=12, notes=(note,))


def rolled_back_by_hand() -> Verdict:
    verdict = passed()
    run = replace(verdict.run, command=Command.ROLLBACK, from_version="v2", to_version="v1")
    return replace(verdict, run=run, notes=("requests given up by the load itself, not counted: 2",))


def paused_by_environment() -> Verdict:
    verdict = passed()
    run = replace(verdict.run, rollout=Outcome.PAUSED_ENVIRONMENT, reason="Docker stopped answering")
    return replace(verdict, run=run, exit_code=3)


def interrupted() -> Verdict:
    verdict = inconclusive()
    run = replace(verdict.run, rollout=Outcome.INTERRUPTED, reason="interrupted at wave 2/3")
    return replace(verdict, run=run, exit_code=130)


def many_groups() -> Verdict:
    return failing(*(drop(number, number / 10, step=f"step-{number // 2}") for number in range(30)))
