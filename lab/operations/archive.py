"""The runs that a project has kept, and what they add up to."""

import json
from collections.abc import Iterator
from pathlib import Path

from lab.proof import Outcome, UnknownVerdictError, Verdict, VerdictOutcome, verdict_from_json

MOST = 200
"""Of so many runs, the last ones, the verdicts are read: more would not change what they prove."""


def run_folders(runs: Path) -> list[Path]:
    """The oldest first: their names begin with the time."""
    return sorted(path for path in runs.iterdir() if path.is_dir()) if runs.exists() else []


def earlier_rolls(runs: Path, run: str, versions: tuple[str, str]) -> tuple[bool, ...]:
    """Of each roll between these versions that was rolled out and judged: whether it dropped something."""
    return tuple(
        verdict.dropped > 0
        for verdict in _verdicts([folder for folder in run_folders(runs) if folder.name < run][-MOST:])
        if (verdict.run.from_version, verdict.run.to_version) == versions
        and verdict.run.rollout is Outcome.DONE
        and verdict.outcome in {VerdictOutcome.PASS, VerdictOutcome.FAIL}
        and not verdict.run.marks
    )


def _verdicts(folders: list[Path]) -> Iterator[Verdict]:
    for folder in folders:
        try:
            yield verdict_from_json(json.loads((folder / "verdict.json").read_text()))
        except (OSError, ValueError, UnknownVerdictError):
            continue  # a run that ended without a verdict, or was judged by another lab, counts for nothing
