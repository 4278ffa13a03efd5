"""What a version that was not kept is said to have done: no request too many, none too few."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lab.proof import Outcome, Service, Verdict, judge, verdict_from_json, verdict_to_json
from lab.proof.result import Blast
from tests.unit.proof_world import SECOND, START, Story, Try, facts, good, good_write, tell

NEW = Try(replica="app-1.2")
SERVED = (Service(replica="app-1.2", from_ns=START + SECOND, until_ns=START + 7 * SECOND + SECOND // 10),)
BACK = {"rollout": Outcome.ROLLED_BACK, "services": SERVED}


def of_new(**changes: object) -> Story:
    return replace(Story(tries=(NEW,)), **changes)  # type: ignore[arg-type]  # the fields of a Story by name


def blast(*stories: Story, **changes: object) -> Blast:
    found = tell(*stories, **(BACK | changes)).verdict().blast
    assert found is not None
    return found


def counted(*stories: Story) -> tuple[int | None, int | None, int | None]:
    """(answered, errors, unanswered) by the new version."""
    found = blast(*stories)
    return found.answered, found.errors, found.unanswered


def test_answers_of_the_new_version_are_counted_and_its_errors_among_them() -> None:
    failed = of_new(outcome="server_error", status=500, replica="app-1.2")

    found = blast(good(), good(), good(), of_new(), of_new(), failed)

    assert found == Blast(version="v2", replicas=1, seconds=6.1, answered=3, errors=1, unanswered=0, share=0.5)


@pytest.mark.parametrize(
    "story",
    [
        Story(outcome="reset", tries=(replace(NEW, result="closed_before_response", answered=False),)),
        Story(outcome="truncated", tries=(replace(NEW, result="truncated", answered=False),)),
        Story(outcome="timeout", tries=(replace(NEW, result="client_gone", answered=False),)),
        Story(
            outcome="server_error",
            status=502,
            tries=(replace(NEW, result="closed_before_response", answered=False),),
        ),
    ],
    ids=["reset", "truncated", "timeout", "answered by the proxy"],
)
def test_what_it_left_without_a_whole_answer_is_counted_apart(story: Story) -> None:
    assert counted(good(), story) == (0, 0, 1)


def test_an_answer_without_the_app_s_headers_is_the_replica_s_that_the_proxy_names() -> None:
    world = tell(good(), of_new(), **BACK)
    for row in [row for row in world.client if row["e"] == "end"]:
        row.update(version=None, replica=None)
    found = world.verdict().blast

    assert found is not None
    assert (found.answered, found.errors) == (1, 0)


def test_a_request_that_another_replica_answered_in_the_end_is_that_one_s() -> None:
    closed = replace(NEW, result="closed_before_response", answered=False)

    assert counted(Story(tries=(closed, Try(replica="app-1.1")))) == (0, 0, 0)


def test_a_wrong_answer_and_a_doubled_write_are_errors_of_who_gave_them() -> None:
    wrong = of_new(outcome="contract", status=200, replica="app-1.2")
    doubled = replace(good_write(), tries=(replace(NEW, executed=2),))

    assert counted(wrong, doubled) == (2, 2, 0)


def test_what_never_reached_a_replica_is_nobody_s() -> None:
    refused = Story(outcome="server_error", status=503, rejected="no-ready-replica")
    not_sent = Story(outcome="not_sent")

    assert counted(refused, not_sent) == (0, 0, 0)


def test_replicas_that_an_earlier_rollout_had_admitted_are_known_by_their_version() -> None:
    found = blast(good(), of_new(), services=())

    assert (found.replicas, found.answered, found.seconds) == (0, 1, 0.0)


def test_of_a_version_that_is_rolled_anew_only_the_new_replicas_count() -> None:
    found = blast(good(), good(), of_new(), from_version="v1", to_version="v1")

    assert found.answered == 1


def test_a_replica_that_still_serves_has_served_until_the_end() -> None:
    found = blast(of_new(), services=(Service(replica="app-1.2", from_ns=START + SECOND),))

    assert found.seconds == 9.0


def test_the_times_of_several_replicas_span_from_the_first_to_the_last() -> None:
    other = Service(replica="app-2.2", from_ns=START + 5 * SECOND, until_ns=START + 6 * SECOND)

    assert (blast(of_new(), services=(*SERVED, other)).seconds, blast(services=(other,)).seconds) == (6.1, 1.0)


@pytest.mark.parametrize("rollout", [o for o in Outcome if o not in {Outcome.DONE, Outcome.NONE}])
def test_every_rollout_that_did_not_reach_its_goal_tells_it(rollout: Outcome) -> None:
    assert tell(good(), **(BACK | {"rollout": rollout})).verdict().blast is not None


def test_a_version_that_is_kept_and_dropped_nothing_has_none_and_one_that_failed_has() -> None:
    kept = {"rollout": Outcome.DONE, "services": SERVED}

    assert tell(good(), of_new(), **kept).verdict().blast is None
    failed = tell(good(), of_new(outcome="server_error", status=500, replica="app-1.2"), **kept).verdict()
    assert failed.blast is not None
    assert (failed.exit_code, failed.blast.errors) == (1, 1)


def test_without_load_only_the_journal_speaks() -> None:
    verdict = judge(facts(**BACK), None, None, ())

    assert verdict.blast == Blast(version="v2", replicas=1, seconds=6.1)


def test_it_stands_in_the_verdict_s_json_as_the_schema_says() -> None:
    path = Path(__file__).parents[2] / "docs/reference/schemas/verdict.schema.json"
    schema = Draft202012Validator(json.loads(path.read_text()))
    told: list[Verdict] = [
        tell(of_new(), **BACK).verdict(),
        judge(facts(**BACK), None, None, ()),
        tell(good()).verdict(),
    ]
    for verdict in told:
        encoded = json.loads(json.dumps(verdict_to_json(verdict)))
        schema.validate(encoded)
        assert verdict_from_json(encoded) == verdict
