"""One row of the reconciliation table, one story."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab.proof import Class, Outcome, Step, Swap, VerdictOutcome
from lab.proof.reasons import STORIES
from lab.proof.records import Death
from lab.proof.result import AppSaw, MadeBy
from lab.proof.steps import phase_at
from tests.unit.proof_world import SECOND, START, Story, Try, facts, good, good_write, tell

KILLED = Try(result="closed_before_response", answered=False)
UNREACHED = Try(result="connect_failed", sent=False, begun=False, answered=False)
PASS, FAIL, INCONCLUSIVE = VerdictOutcome.PASS, VerdictOutcome.FAIL, VerdictOutcome.INCONCLUSIVE


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    story: Story
    cls: Class
    outcome: VerdictOutcome


def write(**changes: Any) -> Story:
    return replace(good_write(), **changes)


ROWS = (
    Row(name="ok, one attempt, one execution", story=good_write(), cls=Class.GOOD, outcome=PASS),
    Row(name="a read that is ok", story=good(), cls=Class.GOOD, outcome=PASS),
    Row(
        name="ok at the second attempt, the first never got a byte through",
        story=write(tries=(UNREACHED, Try(replica="app-2.1", executed=1))),
        cls=Class.GOOD,
        outcome=PASS,
    ),
    Row(
        name="a write that is ok at the second attempt",
        story=write(tries=(KILLED, Try(replica="app-2.1", executed=1))),
        cls=Class.MASKED,
        outcome=FAIL,
    ),
    Row(
        name="a write that its client's library sent twice",
        story=write(tries=(Try(), Try(executed=1, number=1))),
        cls=Class.MASKED,
        outcome=FAIL,
    ),
    Row(
        name="ok after a 503 that only the client's library saw",
        story=write(rejected="no-ready-replica"),
        cls=Class.MASKED,
        outcome=FAIL,
    ),
    Row(
        name="a write executed twice",
        story=write(tries=(Try(result="closed_before_response", answered=False, executed=1), Try(executed=1))),
        cls=Class.DUPLICATE,
        outcome=FAIL,
    ),
    Row(
        name="a write executed twice within one attempt",
        story=write(method="PATCH", tries=(Try(executed=2),)),
        cls=Class.DUPLICATE,
        outcome=FAIL,
    ),
    Row(
        name="a write that no one executed",
        story=write(tries=(Try(executed=0),)),
        cls=Class.LOST_WRITE,
        outcome=FAIL,
    ),
    Row(
        name="a write whose parcel is absent at the end",
        story=write(parcel_kept=False),
        cls=Class.LOST_WRITE,
        outcome=FAIL,
    ),
    Row(name="ok without an attempt", story=Story(), cls=Class.BYPASSED, outcome=INCONCLUSIVE),
    Row(name="refused before the proxy", story=Story(outcome="refused"), cls=Class.REFUSED, outcome=FAIL),
    Row(name="reset before the proxy", story=Story(outcome="reset"), cls=Class.RESET, outcome=FAIL),
    Row(
        name="fails between proxy and app",
        story=Story(outcome="server_error", status=502, tries=(UNREACHED,), rejected="connect-failed"),
        cls=Class.SERVER_ERROR,
        outcome=FAIL,
    ),
    Row(
        name="the answer is lost after the effect",
        story=write(outcome="reset", ack=None, tries=(Try(result="client_gone", answered=False, executed=1),)),
        cls=Class.RESET,
        outcome=FAIL,
    ),
    Row(
        name="times out, and is executed late",
        story=write(outcome="timeout", ack=None, tries=(Try(result="client_gone", executed=1),)),
        cls=Class.TIMEOUT,
        outcome=FAIL,
    ),
    Row(
        name="cut in the body",
        story=Story(outcome="truncated", tries=(Try(result="truncated", answered=False),)),
        cls=Class.TRUNCATED,
        outcome=FAIL,
    ),
    Row(
        name="a whole answer of the wrong shape",
        story=Story(outcome="contract", tries=(Try(),)),
        cls=Class.CONTRACT,
        outcome=FAIL,
    ),
    Row(
        name="a stream that the drain deadline cut",
        story=Story(outcome="cut", cohort="stream", tries=(Try(result="cut", answered=False),)),
        cls=Class.CUT,
        outcome=PASS,
    ),
    Row(
        name="a stream that its reader took for whole, and the drain deadline had cut",
        story=Story(cohort="stream", tries=(Try(result="cut", answered=False),)),
        cls=Class.CUT,
        outcome=PASS,
    ),
    Row(
        name="a stream that ended early, and not at a drain deadline",
        story=Story(outcome="cut", cohort="stream", tries=(Try(),)),
        cls=Class.TRUNCATED,
        outcome=FAIL,
    ),
    Row(
        name="a stream that the drain deadline cut, and that did not come again",
        story=Story(outcome="truncated", cohort="stream", tries=(Try(result="cut", answered=False),)),
        cls=Class.TRUNCATED,
        outcome=FAIL,
    ),
    Row(
        name="a stream that was cut by nobody the proxy knows of",
        story=Story(outcome="cut", cohort="stream"),
        cls=Class.BYPASSED,
        outcome=INCONCLUSIVE,
    ),
    Row(
        name="what the replica sent is no HTTP",
        story=Story(outcome="server_error", status=502, tries=(Try(result="malformed"),), rejected="bad-answer"),
        cls=Class.SERVER_ERROR,
        outcome=FAIL,
    ),
    Row(
        name="refused as malformed",
        story=Story(outcome="contract", status=400, rejected="bad-request", reject_status=400),
        cls=Class.CONTRACT,
        outcome=FAIL,
    ),
    Row(name="never ended", story=good(outcome=None), cls=Class.OPEN, outcome=INCONCLUSIVE),
    Row(name="never sent", story=Story(outcome="not_sent"), cls=Class.NOT_SENT, outcome=INCONCLUSIVE),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_row_of_the_table_has_its_class_and_its_outcome(row: Row) -> None:
    verdict = tell(row.story, *(good() for _ in range(3))).verdict()
    assert verdict.outcome is row.outcome
    assert verdict.offered == 4
    assert verdict.dropped_by_class == ({row.cls: 1} if row.outcome is FAIL else {})
    assert verdict.judged == verdict.answered_ok + verdict.dropped
    assert [drop.id for drop in verdict.drops] == ([f"r1-{row.story.cohort}-0"] if row.outcome is FAIL else [])


def test_a_masked_read_is_told_and_fails_only_when_strict() -> None:
    world = tell(Story(tries=(KILLED, Try(replica="app-2.1"))))
    assert (world.verdict().outcome, world.verdict().masked, world.verdict().dropped) == (PASS, 1, 0)
    assert "masked" in world.verdict().notes[0]
    assert world.verdict(strict=True).dropped_by_class == {Class.MASKED: 1}


def test_a_request_that_the_load_gave_up_is_excluded_and_counted() -> None:
    verdict = tell(good(), Story(outcome="client_abort", tries=(Try(result="client_gone"),))).verdict()
    assert (verdict.outcome, verdict.judged, verdict.client_aborts) == (PASS, 1, 1)


def test_a_5xx_names_its_maker() -> None:
    by_proxy = Story(outcome="server_error", status=503, rejected="no-ready-replica")
    by_app = Story(outcome="server_error", status=500, tries=(Try(),), replica="app-1.1")
    drops = tell(by_proxy, by_app).verdict().drops
    assert [drop.made_by for drop in drops] == [MadeBy.PROXY, MadeBy.APP]


def test_what_was_cut_is_counted_beside_the_dropped_and_not_judged() -> None:
    cut = Story(outcome="cut", cohort="stream", tries=(Try(result="cut", answered=False),), took=5 * SECOND)
    gone = (Death(replica="app-1.1", t_ns=START, exit_code=0),)
    verdict = tell(good(), cut, cut, deaths=gone).verdict()
    assert (verdict.outcome, verdict.cut, verdict.dropped, verdict.judged) == (PASS, 2, 0, 1)
    assert (verdict.begun_unanswered, verdict.latency.samples) == (0, 1)
    assert verdict.notes == (
        "streams and WebSockets ended in order at a drain deadline, and there again within 1s (cut): 2",
    )


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("hold-timeout", "held, and no replica became ready (hold-timeout)"),
        ("hold-full", "no room was left to hold it (hold-full)"),
        ("of-a-later-proxy", "status 503, made by the proxy"),
    ],
)
def test_what_the_proxy_answered_itself_is_told_by_its_reason(reason: str, detail: str) -> None:
    held = Story(outcome="server_error", status=503, rejected=reason, detail="status 503, made by the proxy")
    (drop,) = tell(held, good()).verdict().drops
    assert (drop.cls, drop.made_by, drop.reason, drop.detail) == (Class.SERVER_ERROR, MadeBy.PROXY, reason, detail)


def test_every_reason_of_the_proxy_has_its_story() -> None:
    wire = (Path(__file__).parents[2] / "docs/reference/wire.md").read_text()
    table = wire.partition("Reasons in `X-Lab-Proxy`:")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == set(STORIES)


def test_requests_of_others_that_the_proxy_refused_are_nobody_s_drops() -> None:
    world = tell(good(), Story(outcome="reset"))
    end = world.proxy.pop()
    stranger = {"e": "reject", "reason": "bad-request", "status": 400}
    world.proxy += [{**stranger, "id": f"proxy-{number}", "t": end["t"] - number} for number in range(3)]
    world.proxy.append(end)
    verdict = world.verdict()
    assert (verdict.offered, verdict.judged, [drop.id for drop in verdict.drops]) == (2, 2, ["r1-read-1"])
    assert verdict.drops[0].made_by is None


def test_an_answer_by_another_replica_than_it_was_given_to_is_no_pass() -> None:
    verdict = tell(good(), good(replica="app-2.1")).verdict()
    assert (verdict.outcome, verdict.dropped) == (INCONCLUSIVE, 0)
    (reason,) = verdict.reasons
    assert (reason.id, "(1)" in reason.message) == ("misrouted", True)


def test_a_request_that_is_in_another_replica_s_log_than_it_was_given_to_is_no_pass() -> None:
    world = tell(good(), good())
    rows = [row for row in world.apps["app-1.1"] if row.get("id") == "r1-read-1"]
    world.apps["app-1.1"] = [row for row in world.apps["app-1.1"] if row not in rows]
    world.apps["app-2.1"] += rows
    assert [reason.id for reason in world.verdict().reasons] == ["misrouted"]


def test_an_answer_by_an_attempt_that_the_ledger_lacks_proves_nothing() -> None:
    world = tell(good(), Story(tries=(Try(number=2),)))
    for row in world.proxy:
        if row.get("attempt") == 2:
            row["attempt"] = 1
    assert [reason.id for reason in world.verdict().reasons] == ["bypassed"]


def test_a_drop_says_when_where_and_in_which_step() -> None:
    (drop,) = tell(Story(outcome="reset", tries=(KILLED,), detail="closed by peer")).verdict().drops
    assert (drop.replica, drop.version, drop.step) == ("app-1.1", "v1", "stop")
    assert drop.when_s == 2.51
    assert drop.app_saw is AppSaw.UNANSWERED
    assert drop.detail == "closed by peer; proxy: closed_before_response (app-1.1)"


def test_a_drop_outside_the_roll_says_so() -> None:
    before = tell(Story(outcome="reset"), at=START - SECOND).verdict().drops[0]
    after = tell(Story(outcome="reset"), at=START + 11 * SECOND).verdict().drops[0]
    assert (before.step, after.step) == ("before the roll", "after the roll")
    assert before.when_s < 0


def test_what_the_app_saw_is_not_guessed_without_its_log() -> None:
    world = tell(Story(outcome="reset", tries=(KILLED,)))
    del world.apps["app-1.1"]
    verdict = world.verdict()
    assert verdict.drops[0].app_saw is AppSaw.NO_LOG
    assert "no log of app-1.1" in verdict.notes[0]


def test_what_an_app_began_and_left_unanswered_is_counted_by_its_own_log() -> None:
    killed = Story(outcome="reset", tries=(KILLED,))
    still_running = Story(outcome="timeout", tries=(Try(replica="app-2.1", result="client_gone", answered=False),))
    answered_in_full = Story(tries=(Try(answered=False),))
    dead = (Death(replica="app-1.1", t_ns=START, exit_code=137),)
    verdict = tell(killed, killed, still_running, answered_in_full, deaths=dead).verdict()
    assert verdict.begun_unanswered == 2
    assert tell(killed, killed).verdict().begun_unanswered == 0


def test_a_stopped_replica_counts_as_gone() -> None:
    swap = Swap(replica="app-1.1", version="v1", in_flight_at_retire=1, in_flight_at_stop=1, exit_code=0)
    verdict = tell(Story(outcome="reset", tries=(KILLED,)), swaps=(swap,)).verdict()
    assert verdict.begun_unanswered == verdict.dropped == 1
    (told,) = verdict.exposure
    assert (told.replica, told.in_flight_at_retire, told.in_flight_at_stop, told.exit_code) == ("app-1.1", 1, 1, 0)


def test_a_database_error_about_columns_is_a_schema_breakage_of_version_and_phase() -> None:
    error = '42703 column "first_name" does not exist\nLINE 1: ..'
    broken = Story(outcome="server_error", status=500, tries=(Try(replica="app-1.2"),), error=error)
    verdict = tell(broken, broken, good(), schema_before="base", schema_after="base").verdict()
    (breakage,) = verdict.schema_breakages
    assert (breakage.version, breakage.phase, breakage.code, breakage.count) == ("v2", "base", "42703", 2)
    assert breakage.message == 'column "first_name" does not exist'


def test_a_schema_breakage_belongs_to_the_phase_of_its_instant() -> None:
    expand = Step(name="schema expanded", start_ns=START + SECOND, end_ns=START + 2 * SECOND)
    backfill = Step(name="schema backfilled", start_ns=START + 3 * SECOND, end_ns=START + 3 * SECOND)
    run = facts(schema_before="base", schema_after="backfilled", steps=(backfill, expand))
    instants = [START, START + SECOND, START + 2 * SECOND, START + 3 * SECOND]
    assert [phase_at(run, t) for t in instants] == ["base", "base -> expanded", "expanded", "backfilled"]
    assert phase_at(facts(schema_before="base"), START) == "base"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("23505", 'duplicate key value violates unique constraint "parcels_address"'),
        ("23503", 'insert or update on table "parcels" violates foreign key constraint "parcels_place"'),
        ("23502", 'null value in column "note" violates not-null constraint'),
        ("23514", 'new row for relation "parcels" violates check constraint "parcels_status"'),
        ("22P02", 'invalid input value for enum parcel_status: "accepted"'),
        ("22003", "integer out of range"),
        ("0A000", "cached plan must not change result type"),
    ],
)
def test_whatever_the_database_refuses_a_statement_for_is_told_with_version_phase_and_statement(
    code: str, message: str
) -> None:
    broken = Story(
        outcome="server_error",
        status=500,
        tries=(Try(replica="app-1.2"),),
        error=f"{code} {message}\nDETAIL:  Key (address)=(..)",
        statement="insert into parcels (key) values ($1)",
    )
    (breakage,) = tell(broken, broken, good(), schema_before="base").verdict().schema_breakages
    assert (breakage.version, breakage.phase, breakage.code, breakage.count) == ("v2", "base", code, 2)
    assert (breakage.message, breakage.statement) == (message, "insert into parcels (key) values ($1)")


@pytest.mark.parametrize(
    "error", ["57P01 terminating connection", "08006 no connection", "55P03 lock timeout", "404 no", "internal", "22"]
)
def test_a_database_error_about_the_connection_is_no_schema_breakage(error: str) -> None:
    broken = Story(outcome="server_error", status=503, tries=(Try(),), error=error)
    assert tell(broken).verdict().schema_breakages == ()


def test_a_death_tells_what_was_dropped_on_it_and_is_no_failure_by_itself() -> None:
    dead = (Death(replica="app-1.1", t_ns=START + 2 * SECOND, exit_code=137),)
    (loss,) = tell(Story(outcome="reset", tries=(KILLED,)), deaths=dead).verdict().deaths
    assert (loss.replica, loss.version, loss.when_s, loss.exit_code) == ("app-1.1", "v1", 2.0, 137)
    assert loss.dropped_by_class == {Class.RESET: 1}
    assert tell(good(), deaths=dead).verdict().outcome is PASS


def test_latency_is_from_due_and_of_right_answers_that_are_not_slow_on_purpose() -> None:
    took = [good(took=number * 1_000_000) for number in range(1, 101)]
    slow = good(cohort="slow", took=5 * SECOND)
    failed = Story(outcome="timeout", took=9 * SECOND, tries=(KILLED,))
    latency = tell(*took, slow, failed).verdict().latency
    assert (latency.p50_ms, latency.p99_ms, latency.samples) == (50.0, 99.0, 100)


def test_the_wait_before_a_late_send_is_part_of_the_latency() -> None:
    verdict = tell(good(took=SECOND, sent_late=SECOND * 9 // 10)).verdict()
    assert verdict.latency.p50_ms == 1000.0


def test_a_write_that_one_attempt_began_twice_is_masked() -> None:
    world = tell(good_write())
    log = world.apps["app-1.1"]
    log += [{**row, "t": row["t"] + 50} for row in log if row["e"] != "start"]
    assert world.verdict().dropped_by_class == {Class.MASKED: 1}


def test_a_write_sent_again_while_the_first_is_under_way_is_masked() -> None:
    world = tell(good_write())
    begin = next(row for row in world.proxy if row["e"] == "begin")
    world.proxy.insert(2, {**begin, "t": begin["t"] + 5})
    assert world.verdict().dropped_by_class == {Class.MASKED: 1}


def test_a_begin_written_twice_is_one_begin() -> None:
    world = tell(good_write())
    for rows in (world.proxy, world.apps["app-1.1"]):
        at = next(at for at, row in enumerate(rows) if row["e"] == "begin")
        rows.insert(at, rows[at])
    assert (world.verdict().outcome, world.verdict().masked) == (PASS, 0)


def test_a_slow_answer_is_counted_and_not_dropped() -> None:
    verdict = tell(good(took=SECOND), good(), slow_objective_ms=250.0).verdict()
    assert (verdict.slow, verdict.dropped, verdict.outcome) == (1, 0, PASS)


def test_versions_seen_are_counted() -> None:
    verdict = tell(good(), good(), Story(tries=(Try(replica="app-1.2"),))).verdict()
    assert verdict.versions == {"v1": 2, "v2": 1}


def test_the_rollout_outcome_is_echoed() -> None:
    verdict = tell(good(), rollout=Outcome.ROLLED_BACK, reason="v2 never became ready").verdict()
    assert (verdict.run.rollout, verdict.run.reason, verdict.run.duration_s) == (
        Outcome.ROLLED_BACK,
        "v2 never became ready",
        10.0,
    )
