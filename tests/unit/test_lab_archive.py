"""What earlier runs add to the proof."""

import json
from dataclasses import replace
from pathlib import Path

from lab.operations.archive import earlier_rolls, run_folders
from lab.proof import Outcome, Verdict, VerdictOutcome, verdict_to_json
from tests.unit.proof_world import Story, good, tell

VERSIONS = ("v1", "v2")


def keep(runs: Path, name: str, verdict: Verdict) -> None:
    (runs / name).mkdir(parents=True)
    (runs / name / "verdict.json").write_text(json.dumps(verdict_to_json(verdict)))


def test_rolls_before_this_one_are_counted_with_whether_they_dropped(tmp_path: Path) -> None:
    keep(tmp_path, "20260101-a", tell(good()).verdict())
    keep(tmp_path, "20260102-b", tell(Story(outcome="reset")).verdict())
    keep(tmp_path, "20260103-c", tell(good()).verdict())
    assert earlier_rolls(tmp_path, "20260103-c", VERSIONS) == (False, True)


def test_what_proves_nothing_of_these_rolls_is_left_out(tmp_path: Path) -> None:
    clean = tell(good()).verdict()
    keep(tmp_path, "1", replace(clean, outcome=VerdictOutcome.INCONCLUSIVE))
    keep(tmp_path, "2", replace(clean, outcome=VerdictOutcome.NOT_MEASURED))
    keep(tmp_path, "3", replace(clean, run=replace(clean.run, to_version="v3")))
    keep(tmp_path, "4", replace(clean, run=replace(clean.run, rollout=Outcome.ROLLED_BACK)))
    keep(tmp_path, "5", replace(clean, run=replace(clean.run, marks=("skip-drain",))))
    (tmp_path / "6").mkdir()
    keep(tmp_path, "7", clean)
    (tmp_path / "7/verdict.json").write_text('{"schema": "lab.verdict/9"}')
    assert earlier_rolls(tmp_path, "9", VERSIONS) == ()


def test_a_project_that_never_rolled_has_no_runs(tmp_path: Path) -> None:
    assert run_folders(tmp_path / "runs") == []
    assert earlier_rolls(tmp_path / "runs", "1", VERSIONS) == ()
