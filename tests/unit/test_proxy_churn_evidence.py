"""The churn's checks find each thing that they are there to find, and nothing in a churn that went well."""

from typing import Any

import pytest

from tests.churn_evidence import Evidence, Execution, Outcome, breaches


def attempt(id: str, number: int, result: str | None) -> list[dict[str, Any]]:
    begin = {"e": "begin", "id": id, "attempt": number}
    return [begin] if result is None else [begin, {**begin, "e": "end", "result": result}]


def executed(id: str, *, method: str = "GET", late: bool = False) -> Execution:
    return Execution(id=id, replica="app-1.1", method=method, late=late)


def outcome(id: str, kind: str = "kept", *, method: str = "GET", end: str = "ok") -> Outcome:
    return Outcome(id=id, kind=kind, method=method, end=end, why="because" if end == "lost" else "")


def good() -> Evidence:
    return Evidence(
        cycles=2,
        seconds=1.0,
        in_flight_at_retirements=[3, 0],
        outcomes=[
            outcome("get"),
            outcome("post", method="POST"),
            outcome("again"),
            outcome("elsewhere", method="POST"),
            outcome("cut", "long websocket", end="cut"),
            outcome("left", "endless stream", end="left"),
            outcome("early", "endless stream", end="left"),
        ],
        executions=[
            executed("get"),
            executed("post", method="POST"),
            *[executed("again")] * 2,
            executed("elsewhere", method="POST"),
            executed("cut"),
            executed("left"),
        ],
        ledger=[
            {"e": "header"},
            *attempt("get", 1, "ok"),
            *attempt("post", 1, "ok"),
            *attempt("again", 1, "closed_before_response"),
            *attempt("again", 2, "ok"),
            *attempt("elsewhere", 1, "connect_failed"),
            *attempt("elsewhere", 2, "ok"),
            *attempt("cut", 1, "cut"),
            *attempt("left", 1, "client_gone"),
            *attempt("early", 1, "client_gone"),
            {"e": "footer"},
        ],
        accepted=7,
        retries=2,
    )


def test_a_churn_that_went_well_has_no_breach() -> None:
    assert breaches(good()) == []


@pytest.mark.parametrize(
    ("outcomes", "executions", "ledger", "found"),
    [
        ([outcome("x", end="lost")], [], attempt("x", 1, "truncated"), "was lost: because"),
        ([outcome("x", end="cut")], [executed("x")], attempt("x", 1, "cut"), "was cut"),
        ([outcome("x")], [], attempt("x", 1, "ok"), "was executed 0 times"),
        ([outcome("x")], [executed("x")] * 2, attempt("x", 1, "ok"), "was executed 2 times"),
        ([outcome("x")], [executed("x")], attempt("x", 1, None), "was ok for its client, ['open'] in the ledger"),
        ([outcome("x")], [executed("x")], [], "was ok for its client, [] in the ledger"),
        ([outcome("x")], [executed("x")], attempt("x", 1, "cut"), "was ok for its client, ['cut'] in the ledger"),
        ([outcome("x")], [executed("x", late=True)], attempt("x", 1, "ok"), "after it was told to end"),
        ([], [executed("x")], [], "was executed and never offered"),
        ([], [], [{"e": "lost", "lines": 3}], "1 lines 'lost' in the ledger"),
    ],
)
def test_one_request_gone_wrong_is_a_breach(
    outcomes: list[Outcome], executions: list[Execution], ledger: list[dict[str, Any]], found: str
) -> None:
    evidence = good()
    evidence.outcomes += outcomes
    evidence.executions += executions
    evidence.ledger += ledger
    evidence.accepted += len(outcomes)
    (breach,) = breaches(evidence)
    assert found in breach


def test_a_post_tried_again_after_it_may_have_been_taken_and_taken_twice_is_a_breach() -> None:
    evidence = good()
    evidence.outcomes.append(outcome("x", method="POST"))
    evidence.executions += [executed("x", method="POST")] * 2
    evidence.ledger += attempt("x", 1, "closed_before_response") + attempt("x", 2, "ok")
    evidence.accepted, evidence.retries = 8, 3
    assert breaches(evidence) == ["x (kept POST) took effect twice"]


def test_what_was_tried_again_after_an_answer_had_begun_is_a_breach() -> None:
    evidence = good()
    evidence.outcomes.append(outcome("x"))
    evidence.executions.append(executed("x"))
    evidence.ledger += attempt("x", 1, "truncated") + attempt("x", 2, "ok")
    evidence.accepted, evidence.retries = 8, 3
    assert breaches(evidence) == ["x (kept GET) was tried again after truncated"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"accepted": 5}, "7 requests were offered, 5 accepted"),
        ({"retries": 1}, "1 retries in the metrics, 2 in the ledger"),
        ({"aborted": 2}, "2 requests were aborted at a drain's deadline"),
        ({"unbalanced": ["cycle 1: {}"]}, "cycle 1: {}"),
        ({"in_flight_at_retirements": [0, 0]}, "this churn shows nothing"),
    ],
)
def test_a_run_whose_books_are_wrong_is_a_breach(changes: dict[str, Any], found: str) -> None:
    evidence = good()
    for name, value in changes.items():
        setattr(evidence, name, value)
    (breach,) = breaches(evidence)
    assert found in breach
