"""Versions that pass every probe and are bad all the same: one dies, one answers errors. What they cost is counted."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import LabCommand
from tests.fault_evidence import assert_blast_is_what_the_app_says, assert_whole, folder, said_by

pytestmark = pytest.mark.docker
PROJECT = "e2e-bad"
SECOND = 1_000_000_000
DIES, ERRS = "v2-dies-after-ready", "v2-answers-errors"


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    made = new_lab(PROJECT)
    made.up()
    return made


def assert_back_on_v1(lab: LabCommand, verdict: Any) -> None:
    assert verdict["run"]["rollout"] == "rolled-back", verdict["run"]
    assert verdict["exit_code"] == 1
    assert_whole(lab.status(), "v1")


def test_a_version_that_dies_after_it_was_ready_is_rolled_back_and_only_its_deaths_drop_anything(
    lab: LabCommand,
) -> None:
    verdict = lab.roll("roll", DIES, "--bake", "7s")

    assert_back_on_v1(lab, verdict)
    assert verdict["run"]["reason"].endswith("died after it was ready, 4 deaths in its slot")
    died = {death["replica"]: death for death in verdict["deaths"]}
    assert len(died) >= 4
    assert {(death["version"], death["exit_code"]) for death in died.values()} == {(DIES, 3)}
    assert {drop["replica"] for drop in verdict["drops"]} <= set(died)
    for drop in verdict["drops"]:
        late = died[drop["replica"]]["when_s"] - drop["when_s"]
        assert -1 < late < 5, "a death is told when the controller looks again"
    assert_blast_is_what_the_app_says(PROJECT, verdict, DIES)
    assert verdict["blast"]["errors"] == 0
    assert verdict["blast"]["replicas"] >= 4


def test_a_version_that_answers_errors_is_rolled_back_by_its_gate_with_the_numbers(lab: LabCommand) -> None:
    verdict = lab.roll("roll", ERRS, "--gate", "error-ratio=5%", "--bake", "7s")

    assert_back_on_v1(lab, verdict)
    reason, blast = verdict["run"]["reason"], verdict["blast"]
    assert reason.startswith("error-ratio 3")
    assert reason.endswith(" requests), limit 5.00%")
    errors, of = (int(word) for word in reason.partition("(")[2].split(" requests")[0].split(" of "))
    events = [json.loads(line) for line in (folder(PROJECT, verdict) / "events.jsonl").read_text().splitlines()]
    (judged,) = [event["t_ns"] for event in events if event["type"] == "version-failed"]
    said = said_by(ERRS, PROJECT, verdict)
    some_before, by_then = said.ends(until_ns=judged - 2 * SECOND), said.ends(until_ns=judged)
    assert max(50, some_before[0]) <= of <= by_then[0]
    assert some_before[1] <= errors <= by_then[1]
    assert_blast_is_what_the_app_says(PROJECT, verdict, ERRS)
    assert (blast["replicas"], blast["unanswered"]) == (1, 0)
    report = lab("report").out
    assert f"  blast  {ERRS} answered {blast['answered']} requests in " in report
    assert f"on 1 replica, {blast['errors']} of them errors" in report


def test_without_a_gate_it_is_rolled_out_and_the_verdict_fails_it(lab: LabCommand) -> None:
    verdict = lab.roll("roll", ERRS, "--batch", "3")

    assert (verdict["run"]["rollout"], verdict["outcome"], verdict["exit_code"]) == ("done", "fail", 1)
    assert set(verdict["dropped_by_class"]) == {"server_error"}
    assert {(drop["made_by"], drop["status"]) for drop in verdict["drops"]} == {("app", 500)}
    assert_blast_is_what_the_app_says(PROJECT, verdict, ERRS)
    assert verdict["blast"]["errors"] > 50
    assert lab.status()["version"] == ERRS
