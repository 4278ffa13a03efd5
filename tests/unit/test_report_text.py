"""Every kind of block as people see it. LAB_UPDATE_GOLDEN=1 writes the files anew: read the diff."""

import json
from dataclasses import replace

import pytest

from lab.proof import (
    verdict_from_json,
)
from lab.proof.result import (
    Comparison,
    Pace,
)
from lab.report import render_json, render_text
from lab.report.numbers import count, millis
from tests.golden_files import check
from tests.unit.report_verdicts import (
    bounded,
    cut,
    died_after_ready,
    dropped,
    fail_in_doubt,
    failed_gate,
    inconclusive,
    interrupted,
    killed,
    many_groups,
    never_ready,
    never_ready_and_dropped,
    not_measured,
    not_measured_gate,
    passed,
    paused_by_environment,
    restarted,
    rolled_back_by_hand,
    schema_breakage,
    slower,
    stale,
)

CASES = {
    made.__name__: made
    for made in (
        passed,
        dropped,
        killed,
        schema_breakage,
        stale,
        never_ready,
        never_ready_and_dropped,
        failed_gate,
        died_after_ready,
        not_measured_gate,
        inconclusive,
        fail_in_doubt,
        not_measured,
        restarted,
        cut,
        rolled_back_by_hand,
        paused_by_environment,
        interrupted,
        many_groups,
    )
}


@pytest.mark.parametrize("name", CASES)
def test_a_verdict_reads_as_its_golden_file(name: str) -> None:
    check(f"report/{name}", render_text(CASES[name]()))


def test_details_add_versions_and_exposure() -> None:
    check("report/passed_details", render_text(passed(), details=True))


@pytest.mark.parametrize(
    ("name", "comparison"),
    [
        ("slower", slower()),
        ("no_slower", replace(slower(), outcome=Pace.OK, changes=slower().changes[:1])),
        ("too_little_data", Comparison(outcome=Pace.TOO_LITTLE, old="v1", new="v2")),
    ],
)
def test_details_tell_what_was_proved_and_whether_it_got_slower(name: str, comparison: Comparison) -> None:
    verdict = replace(bounded(passed()), comparison=comparison)
    check(f"report/details_{name}", render_text(verdict, details=True))


def test_ascii_marks_stand_in_where_a_terminal_has_no_others() -> None:
    for name, made in CASES.items():
        text = render_text(made(), ascii_only=True)
        assert text.isascii(), name
    assert render_text(passed(), ascii_only=True).startswith("ok v1 -> v2 done in 9.8s")
    assert render_text(dropped(), ascii_only=True).startswith("x v1 -> v2 done in 9.8s")


def test_the_run_folder_is_named_as_the_caller_names_it() -> None:
    assert render_text(passed(), data="elsewhere/r1").endswith("data: elsewhere/r1\n")


def test_only_a_pass_says_0_dropped_of() -> None:
    telling = {name for name, made in CASES.items() if "- 0 dropped of" in render_text(made())}
    assert telling == {"passed", "cut", "rolled_back_by_hand"}


def test_json_holds_the_whole_verdict() -> None:
    verdict = replace(stale(), schema_breakages=schema_breakage().schema_breakages)
    assert verdict_from_json(json.loads(render_json(verdict))) == verdict


def test_numbers_are_grouped_by_spaces() -> None:
    assert [count(number) for number in (0, 999, 1412, 1234567)] == ["0", "999", "1 412", "1 234 567"]
    assert [millis(value) for value in (None, 1.84, 9.96, 14.2, 1951.0)] == [
        "-",
        "1.8 ms",
        "10.0 ms",
        "14 ms",
        "1 951 ms",
    ]
