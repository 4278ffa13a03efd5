"""What a roll asserts, and what it says when it does not hold: that text is what the assertions are for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.proof import Failure, Outcome, Verdict, verdict_to_json
from lab.proof.result import Change, Comparison, Exposure, Latency, Pace
from lab.testing.roll import Roll, nothing_to_roll, roll_of
from tests.golden_files import check
from tests.unit.proof_world import Story, Try, good, tell

SWAPS = (
    Exposure(replica="app-1.1", version="v1", in_flight_at_retire=3, under_way=2),
    Exposure(replica="app-1.2", version="v2", in_flight_at_retire=1, under_way=0),
)
CHANGE = Change(percent=95, pairs=9, width_s=0.5, ratio=1.4, low=1.3, high=1.5, old_ms=10.0, new_ms=14.0, more_ms=4.0)


def roll(verdict: Verdict, exit_code: int | None = None, **changes: Any) -> Roll:
    found = replace(verdict, **changes)
    return Roll(
        verdict=found,
        exit_code=found.exit_code if exit_code is None else exit_code,
        project="t-1",
        folder=Path(".lab/t-1/runs/r1"),
    )


def clean(**changes: Any) -> Roll:
    return roll(tell(good(), good()).verdict(), **{"exposure": SWAPS, **changes})


def dropping() -> Roll:
    dropped = Story(
        outcome="server_error",
        method="POST",
        cohort="write",
        status=502,
        tries=(Try(result="reset", answered=False, executed=1),),
        replica="app-1.1",
    )
    return roll(tell(good(), dropped, dropped).verdict())


def ended(rollout: Outcome, **changes: Any) -> Roll:
    verdict = tell(good()).verdict()
    return roll(verdict, run=replace(verdict.run, rollout=rollout, **changes))


HOLDS: dict[str, Callable[[], Roll]] = {
    "ok": lambda: clean().assert_ok(),
    "no drops": lambda: clean().assert_no_drops(),
    "some drops": lambda: dropping().assert_drops(at_most=2),
    "exposed": lambda: clean().assert_exposed(),
    "rolled back": lambda: ended(Outcome.ROLLED_BACK, duration_s=9.0).assert_rolled_back(within=10),
    "versions": lambda: clean().assert_versions("v1"),
    "latency": lambda: clean().assert_latency("p50", below_ms=11),
    "not slower": lambda: clean(
        comparison=Comparison(outcome=Pace.OK, old="v1", new="v2", changes=(CHANGE,))
    ).assert_not_slower(by=0.3),
}
FAILS: dict[str, tuple[Callable[[], Roll], str, str]] = {
    "drops": (lambda: dropping().assert_no_drops(), "no request dropped", "2 dropped of 3 (server_error 2)"),
    "too many drops": (lambda: dropping().assert_drops(at_most=1), "at most 1 requests dropped", "2 of 3"),
    "too little proof": (
        lambda: roll(tell(good(), min_requests=500).verdict()).assert_no_drops(),
        "proof that no request was dropped",
        "0 dropped of 1, but too few requests to tell",
    ),
    "no proof": (lambda: ended(Outcome.PAUSED, reason="a gate").assert_ok(), "to be taken to v2", "paused: a gate"),
    "unexposed": (lambda: clean().assert_exposed(2), "2 in flight at the leave", "v1: 3 at most, v2: 1 at most"),
    "nothing swapped": (lambda: clean(exposure=()).assert_exposed(), "in flight", "nothing was swapped"),
    "not back": (lambda: clean().assert_rolled_back(), "the roll to be taken back", "done"),
    "back late": (
        lambda: ended(Outcome.ROLLED_BACK, duration_s=61.0).assert_rolled_back(within=60),
        "the roll to be taken back within 60s",
        "61.0s",
    ),
    "other versions": (lambda: clean().assert_versions("v1", "v2"), "answers by v1, v2", "v1"),
    "slow": (lambda: clean().assert_latency("p99", below_ms=5), "p99 below 5 ms", "10.0 ms of 2 requests"),
    "not measured": (
        lambda: clean(latency=Latency(p50_ms=None, p99_ms=None, samples=0)).assert_latency(below_ms=5),
        "p99 below 5 ms",
        "not measured",
    ),
    "slower": (
        lambda: clean(
            comparison=Comparison(outcome=Pace.WORSE, old="v1", new="v2", changes=(CHANGE,))
        ).assert_not_slower(),
        "p95 of v2 at most 1.2 times",
        "1.40 times (1.30 to 1.50), 10.0 to 14.0 ms",
    ),
    "not compared": (
        lambda: clean(comparison=None).assert_not_slower(),
        "p95 of v2",
        "too little data to compare them",
    ),
}


@pytest.mark.parametrize("name", HOLDS)
def test_what_holds_returns_the_roll(name: str) -> None:
    assert isinstance(HOLDS[name](), Roll)


@pytest.mark.parametrize("name", FAILS)
def test_what_does_not_hold_says_what_was_expected_and_seen_and_where_to_look(name: str) -> None:
    assertion, expected, seen = FAILS[name]
    with pytest.raises(AssertionError) as caught:
        assertion()

    lines = dict(line.strip().split("  ", 1) for line in str(caught.value).splitlines() if "  " in line.strip())
    assert expected in lines["expected"]
    assert seen in lines["seen"]
    assert lines["look"].strip() == "lab report r1 --project t-1"


def test_a_drop_is_told_from_end_to_end() -> None:
    with pytest.raises(AssertionError) as caught:
        dropping().assert_no_drops()

    check("lab/assert_no_drops", f"{caught.value}\n")
    page = Path(__file__).parents[2] / "docs/how-to/pytest.md"
    assert f"```{caught.value}\n```" in page.read_text()


def test_a_version_that_failed_is_told_with_its_last_log_lines() -> None:
    failure = Failure(what="app-1.2 never became ready", where="GET /readyz: status 503", log=("starting", "no table"))
    with pytest.raises(AssertionError) as caught:
        ended(Outcome.ROLLED_BACK, reason="app-1.2 never became ready", failure=failure).assert_done()

    check("lab/assert_done", f"{caught.value}\n")


def test_the_verdict_of_the_command_is_the_roll_s() -> None:
    verdict = tell(good()).verdict()

    made = roll_of(verdict_to_json(verdict), exit_code=4, project="t-1", home=Path("/x/.lab/t-1"))

    assert (made.verdict, made.exit_code, made.ok) == (verdict, 4, False)
    assert made.folder == Path("/x/.lab/t-1/runs/r1")
    assert "nothing was rolled" in str(nothing_to_roll("v2"))
