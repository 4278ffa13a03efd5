"""Versions that are bad all the same although their image is sound. What they cost is counted, and they are taken back.

`make soak-faults` rolls every one that there is.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import LabCommand
from tests.fault_evidence import (
    assert_blast_is_what_the_app_says,
    assert_whole,
    fired,
    folder,
    said_by,
)

pytestmark = pytest.mark.docker
SECOND = 1_000_000_000
DIES, ERRS = "v2-dies-after-ready", "v2-answers-errors"


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    made = new_lab("e2e-bad")
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
    assert_blast_is_what_the_app_says(lab.project, verdict, DIES)
    assert verdict["blast"]["errors"] == 0
    assert verdict["blast"]["replicas"] >= 4


def test_a_version_that_answers_errors_is_rolled_back_by_its_gate_with_the_numbers(lab: LabCommand) -> None:
    verdict = lab.roll("roll", ERRS, "--gate", "error-ratio=5%", "--bake", "7s")

    assert_back_on_v1(lab, verdict)
    reason, blast = verdict["run"]["reason"], verdict["blast"]
    assert reason.startswith("error-ratio 3")
    assert reason.endswith(" requests), limit 5.00%")
    errors, of = (int(word) for word in reason.partition("(")[2].split(" requests")[0].split(" of "))
    events = [json.loads(line) for line in (folder(lab.project, verdict) / "events.jsonl").read_text().splitlines()]
    (judged,) = [event["t_ns"] for event in events if event["type"] == "version-failed"]
    said = said_by(ERRS, lab.project, verdict)
    some_before, by_then = said.ends(until_ns=judged - 2 * SECOND), said.ends(until_ns=judged)
    assert max(50, some_before[0]) <= of <= by_then[0]
    assert some_before[1] <= errors <= by_then[1]
    assert_blast_is_what_the_app_says(lab.project, verdict, ERRS)
    assert (blast["replicas"], blast["unanswered"]) == (1, 0)
    report = lab("report").out
    assert f"  blast  {ERRS} answered {blast['answered']} requests in " in report
    assert f"on 1 replica, {blast['errors']} of them errors" in report


def test_a_version_that_ends_as_it_starts_is_seen_at_once_with_its_last_words(lab: LabCommand) -> None:
    verdict = lab.roll("roll", "v2-crashes-on-start")

    assert_back_on_v1(lab, verdict)
    assert verdict["run"]["reason"].endswith("ended before it was ever ready")
    assert verdict["dropped"] == 0
    assert fired(lab.project, verdict, "crashes-on-start") >= 1
    assert "fault crashes-on-start" in lab("report").out


def test_a_version_that_flaps_is_given_no_request(lab: LabCommand) -> None:
    verdict = lab.roll("roll", "v2-flaps", "--ready-timeout", "6s")

    assert_back_on_v1(lab, verdict)
    assert "never became ready within 6s: its probes passed and failed in turn, " in verdict["run"]["reason"]
    assert (verdict["dropped"], verdict["blast"]["answered"]) == (0, 0)
    assert fired(lab.project, verdict, "flaps") > 3


def test_a_version_that_hangs_is_taken_back_and_what_it_left_unanswered_is_counted(lab: LabCommand) -> None:
    """What it has begun it never ends, so it outstays its stop grace as well."""
    verdict = lab.roll("roll", "v2-hangs", "--wave-bake", "7s", "--ready-timeout", "7s", "--request-timeout", "6s")

    assert_back_on_v1(lab, verdict)
    assert verdict["run"]["reason"].endswith("was not ready again within 7s")
    assert_blast_is_what_the_app_says(lab.project, verdict, "v2-hangs")
    assert set(verdict["dropped_by_class"]) == {"timeout"}
    assert "no whole answer within 1000 ms" in lab("report").out
    assert any(note.startswith("killed when their stop grace was over") for note in verdict["notes"])


def test_a_version_that_runs_out_of_memory_is_taken_back_and_told_as_that(lab: LabCommand) -> None:
    verdict = lab.roll("roll", "v2-leaks-memory", "--bake", "7s")

    assert_back_on_v1(lab, verdict)
    assert {(death["version"], death["exit_code"], death["oom"]) for death in verdict["deaths"]} == {
        ("v2-leaks-memory", 137, True)
    }
    assert len(verdict["deaths"]) >= 4
    assert fired(lab.project, verdict, "leaks-memory") > len(verdict["deaths"])
    assert "exit code 137, out of memory" in lab("report").out


def test_without_a_gate_it_is_rolled_out_and_the_verdict_fails_it(lab: LabCommand) -> None:
    verdict = lab.roll("roll", ERRS, "--batch", "3")

    assert (verdict["run"]["rollout"], verdict["outcome"], verdict["exit_code"]) == ("done", "fail", 1)
    assert set(verdict["dropped_by_class"]) == {"server_error"}
    assert {(drop["made_by"], drop["status"]) for drop in verdict["drops"]} == {("app", 500)}
    assert_blast_is_what_the_app_says(lab.project, verdict, ERRS)
    assert verdict["blast"]["errors"] > 50
    assert lab.status()["version"] == ERRS
