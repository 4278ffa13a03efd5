import json
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab.proof import (
    Outcome,
    UnknownVerdictError,
    VerdictOutcome,
    exit_code,
    judge,
    read_app,
    read_client,
    read_proxy,
    verdict_from_json,
    verdict_to_json,
)
from lab.proof.records import Death, Failure
from lab.proof.result import Verdict
from tests.unit.proof_world import SECOND, START, Story, Try, World, facts, good, good_write, ledger, tell

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"
PASS, FAIL = VerdictOutcome.PASS, VerdictOutcome.FAIL
INCONCLUSIVE, NOT_MEASURED = VerdictOutcome.INCONCLUSIVE, VerdictOutcome.NOT_MEASURED


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))


@pytest.mark.parametrize(
    ("rollout", "verdict", "expected"),
    [
        (Outcome.DONE, PASS, 0),
        (Outcome.DONE, NOT_MEASURED, 0),
        (Outcome.DONE, FAIL, 1),
        (Outcome.DONE, INCONCLUSIVE, 4),
        (Outcome.NONE, PASS, 0),
        (Outcome.NONE, FAIL, 1),
        (Outcome.ROLLED_BACK, PASS, 1),
        (Outcome.ROLLED_BACK, INCONCLUSIVE, 1),
        (Outcome.FAILED, NOT_MEASURED, 1),
        (Outcome.ABORTED, PASS, 1),
        (Outcome.PAUSED, PASS, 1),
        (Outcome.PAUSED_ENVIRONMENT, PASS, 3),
        (Outcome.PAUSED_ENVIRONMENT, FAIL, 3),
        (Outcome.INTERRUPTED, PASS, 130),
        (Outcome.INTERRUPTED, FAIL, 130),
    ],
)
def test_the_exit_code_is_a_function_of_rollout_and_verdict(
    rollout: Outcome, verdict: VerdictOutcome, expected: int
) -> None:
    assert exit_code(rollout, verdict) == expected


def without_an_end(world: World) -> None:
    world.client = [row for row in world.client if (row["e"], row.get("id")) != ("end", "r1-read-1")]


GAPS: dict[str, Callable[[World], object]] = {
    "load-died": lambda world: world.client.pop(),
    "load-cut-short": lambda world: world.client[-1].update(complete=False),
    "client-ledger-headless": lambda world: world.client.pop(0),
    "client-ledger-foreign": lambda world: world.client[0].update(run="r0"),
    "client-ledger-version": lambda world: world.client[0].update(schema="lab.client-ledger/2"),
    "client-ledger-gap": lambda world: world.client[-1].update(offered=9),
    "load-ended": lambda world: world.client[-1].update(t=world.facts.ended_ns - 200_000_000),
    "proxy-ledger-cut": lambda world: world.proxy.pop(),
    "proxy-ledger-gap": lambda world: world.proxy[-1].update(attempts=9),
    "proxy-ledger-lost": lambda world: world.proxy.insert(3, {"e": "lost", "lines": 7, "t": START}),
    "proxy-ledger-foreign": lambda world: world.proxy[0].update(run="r0"),
    "schedule-lag": lambda world: world.client[-1].update(lag_p99_ms=50.1),
    "open-requests": without_an_end,
    "writes-unchecked": lambda world: setattr(world, "database_read", False),
    "too-few-requests": lambda world: setattr(world, "facts", replace(world.facts, min_requests=500)),
}


@pytest.mark.parametrize("gap", GAPS)
def test_missing_data_is_no_verdict_and_says_what_to_do(gap: str) -> None:
    world = tell(good_write(), good(), good())
    GAPS[gap](world)
    verdict = world.verdict()
    assert verdict.outcome is INCONCLUSIVE
    assert [reason.id for reason in verdict.reasons] == [gap]
    assert all(reason.fix for reason in verdict.reasons)
    assert verdict.exit_code == 4


def test_lines_that_the_proxy_says_it_lost_are_one_doubt_that_counts_them() -> None:
    world = tell(good_write(), good(), good())
    lost = {"e": "lost", "lines": 4, "t": START}
    world.proxy[1:5] = [lost, lost, {**lost, "lines": 3}]
    (reason,) = world.verdict().reasons
    assert reason.id == "proxy-ledger-lost"
    assert "(7)" in reason.message


def test_an_end_that_may_be_among_lost_lines_masks_nothing() -> None:
    unreached = Try(replica="app-2.1", result="connect_failed", sent=False, begun=False, answered=False)
    world = tell(replace(good_write(), tries=(unreached, Try(executed=1))))
    world.proxy[2] = {"e": "lost", "lines": 1, "t": START}
    assert (world.verdict().outcome, world.verdict().masked) == (INCONCLUSIVE, 0)


def test_a_load_that_is_late_within_the_limit_is_no_doubt_and_one_beyond_it_is_told_with_its_figure() -> None:
    world = tell(good(), good())
    world.client[-1]["lag_p99_ms"] = 50.0
    assert world.verdict().outcome is PASS
    world.client[-1]["lag_p99_ms"] = 812.4
    (reason,) = world.verdict().reasons
    assert "812 ms or more after it was due (limit 50 ms)" in reason.message


@pytest.mark.parametrize(("late_s", "found"), [(0, FAIL), (3, FAIL), (3.1, INCONCLUSIVE)])
def test_a_timeout_is_a_drop_only_if_the_load_itself_had_not_wasted_the_time(
    late_s: float, found: VerdictOutcome
) -> None:
    late = Story(outcome="timeout", took=30 * SECOND, sent_late=int(late_s * SECOND), tries=(Try(answered=False),))
    verdict = tell(good(), late).verdict()
    assert (verdict.outcome, verdict.not_sent) == (found, found is INCONCLUSIVE)


@pytest.mark.parametrize("gap", ["load-died", "schedule-lag", "proxy-ledger-cut", "open-requests", "too-few-requests"])
def test_a_drop_that_was_seen_outweighs_missing_data(gap: str) -> None:
    world = tell(good(), good(), Story(outcome="reset"))
    GAPS[gap](world)
    verdict = world.verdict()
    assert (verdict.outcome, verdict.exit_code) == (FAIL, 1)
    assert [reason.id for reason in verdict.reasons] == [gap]


def test_no_proxy_ledger_is_no_verdict() -> None:
    world = tell(good())
    verdict = judge(world.facts, read_client(ledger(world.client)), None, ())
    assert verdict.outcome is INCONCLUSIVE
    assert [reason.id for reason in verdict.reasons] == ["proxy-ledger-missing"]


def test_no_load_is_not_measured() -> None:
    verdict = judge(facts(), None, None, ())
    assert (verdict.outcome, verdict.exit_code, verdict.reasons) == (NOT_MEASURED, 0, ())


def test_an_end_without_its_offer_is_still_a_drop() -> None:
    world = tell(good(), Story(outcome="reset"))
    world.client = [row for row in world.client if (row["e"], row.get("id")) != ("offer", "r1-read-1")]
    verdict = world.verdict()
    assert [drop.id for drop in verdict.drops] == ["r1-read-1"]
    assert "client-ledger-gap" in [reason.id for reason in verdict.reasons]


def test_of_two_ends_that_contradict_each_other_the_drop_is_kept() -> None:
    for order in (1, -1):
        world = tell(good())
        end = next(row for row in world.client if row["e"] == "end")
        first, second = (end, {**end, "outcome": "reset"})[::order]
        world.client[2:3] = [first, second]
        assert world.verdict().dropped == 1


def test_foreign_text_and_cut_lines_are_skipped_and_counted() -> None:
    lines = [
        b"Traceback (most recent call last):\n",
        b'{"e": "start", "t": 1, "version": "v1"}\n',
        b'{"e": "begin", "id": "a", "attempt": 1, "method": "GET", "path": "/", "t": 2}\n',
        b"[1, 2]\n",
        b"\xff\xfe\n",
        b'{"hello": "world"}\n',
        b'{"e": "begin", "id": 7, "attempt": 1, "t": 2}\n',
        b"\n",
        b'{"e": "end", "id": "a", "att',
    ]
    log = read_app("app-1.1", lines)
    assert (log.version, list(log.visits), log.visits["a"][0].ended) == ("v1", ["a"], None)
    assert (log.foreign, log.reading.cut) == (6, True)
    client = read_client([b'{"e": "end", "id": "a", "t": 1, "outcome": "unheard of", "status": 1}\n'])
    assert (client.ends, client.reading.skipped) == ({}, 1)


def test_a_footer_that_the_proxy_wrote_before_it_went_on_is_not_the_last_word() -> None:
    lines = ledger(tell(good()).proxy)
    more = ledger(tell(good(), good()).proxy)[3:4]
    assert read_proxy(lines).footer_attempts == 1
    assert read_proxy([*lines, *more]).footer_attempts is None


def rich_world() -> World:
    killed = Try(result="closed_before_response", answered=False)
    error = '42703 column "first_name" does not exist'
    stories = (
        good(),
        good_write(),
        Story(outcome="reset", tries=(killed,)),
        Story(outcome="server_error", status=500, tries=(Try(replica="app-1.2"),), error=error),
        Story(outcome="server_error", status=503, rejected="no-ready-replica"),
        Story(method="POST", cohort="write", ack=9, parcel_kept=False, tries=(Try(executed=2),)),
    )
    world = tell(
        *stories,
        Story(outcome="cut", cohort="stream", tries=(Try(result="cut", answered=False),)),
        rollout=Outcome.ROLLED_BACK,
        reason="v2 never became ready",
        failure=Failure(what="app-2.2 not ready for 30s", log=("a", "b")),
        deaths=(Death(replica="app-1.1", t_ns=START, exit_code=137),),
    )
    world.kill_proxy(kept=2, lost=1)
    world.proxy.insert(-1, {"e": "lost", "lines": 1, "t": START})
    return world


def test_a_verdict_survives_json_and_matches_its_schema() -> None:
    for verdict in (rich_world().verdict(), tell(good()).verdict(), judge(facts(), None, None, ())):
        encoded = json.loads(json.dumps(verdict_to_json(verdict)))
        validator("verdict").validate(encoded)
        assert verdict_from_json(encoded) == verdict
        assert verdict_from_json({**encoded, "later": "key"}) == verdict


def test_the_schema_names_every_field_of_the_verdict() -> None:
    schema = validator("verdict").schema
    assert isinstance(schema, dict)
    assert set(schema["properties"]) == {"schema"} | {field.name for field in fields(Verdict)}


@pytest.mark.parametrize("change", [{"schema": "lab.verdict/9"}, {"outcome": "fine"}, {"run": None}, {"offered": "1"}])
def test_a_foreign_verdict_is_refused_in_words(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownVerdictError):
        verdict_from_json(verdict_to_json(tell(good()).verdict()) | change)


def test_the_ledgers_of_these_tests_are_those_of_the_schemas() -> None:
    world = rich_world()
    pairs = [("client-ledger", world.client), ("proxy-ledger", world.proxy)]
    pairs += [("app-log", rows) for rows in world.apps.values()]
    for name, rows in pairs:
        check = validator(name)
        for row in rows:
            check.validate(row)


def test_the_work_grows_with_the_requests_and_not_faster() -> None:
    world = tell(*(good_write(ack=number) if number % 3 == 0 else good() for number in range(20_000)))
    client, proxy, apps = ledger(world.client), ledger(world.proxy), world.app_bytes()
    begun = time.process_time()
    verdict = world.judge_bytes(client, proxy, apps)
    assert time.process_time() - begun < 5  # under a second unless others keep the cores busy
    assert (verdict.outcome, verdict.judged) == (PASS, 20_000)


def test_who_had_to_be_killed_is_told_and_alone_drops_nothing() -> None:
    world = tell(good_write(), good(), good())
    world.facts = replace(world.facts, overstayed=("app-1.1", "app-2.1"))

    assert world.verdict().outcome is PASS
    assert any("killed when their stop grace was over" in note and "app-1.1, app-2.1" in note for note in notes(world))


def notes(world: World) -> tuple[str, ...]:
    return world.verdict().notes


def test_a_run_in_which_answers_were_cut_on_purpose_is_marked_with_it() -> None:
    world = tell(good())
    assert world.verdict().run.marks == ()
    world.proxy.insert(1, {"e": "cut-switch", "every": 7, "t": START})
    marked = world.verdict()
    assert (marked.run.marks, marked.outcome) == (("cut-switch",), VerdictOutcome.PASS)
    assert "run with cut-switch" in marked.notes


def test_a_parcel_that_nobody_asked_for_is_no_pass() -> None:
    """Two were acknowledged, one of them twice, and one answer was lost: from two to three may be there."""
    lost = Story(outcome="reset", method="POST", cohort="write", tries=(Try(executed=1, answered=False),))
    world = tell(good_write(1), good_write(2), good_write(2), lost, Story(outcome="refused", method="POST"))
    reasons = {}
    for stored in (None, 2, 3, 4):
        world.facts = replace(world.facts, stored=stored)
        reasons[stored] = [reason.id for reason in world.verdict().reasons]
    assert reasons == {None: [], 2: [], 3: [], 4: ["unasked-writes"]}
