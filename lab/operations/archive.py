"""The runs that a project has kept, and what they add up to."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import Exit, LabError
from lab.ports import Event
from lab.proof import Outcome, UnknownVerdictError, Verdict, VerdictOutcome, read_client, verdict_from_json
from lab.report import Report, report_of

MOST = 200
"""Of so many runs, the last ones, the verdicts are read: more would not change what they prove."""


def run_folders(runs: Path) -> list[Path]:
    """The oldest first: their names begin with the time."""
    return sorted(path for path in runs.iterdir() if path.is_dir()) if runs.exists() else []


def find_run(runs: Path, name: str | None) -> Path:
    """The run of that name; the last one unless there is a name."""
    folders = run_folders(runs)
    chosen = [folder for folder in folders if name in {None, folder.name}]
    if not chosen:
        raise LabError(
            id="no-run",
            what=f"there is no run {name}" if name else "nothing was rolled yet",
            where=str(runs),
            fix="lab roll v2" if not folders else f"the last is {folders[-1].name}; lab report --list names them all",
        )
    return chosen[-1]


def verdict_of(folder: Path) -> Verdict:
    path = folder / "verdict.json"
    if not path.exists():
        raise LabError(
            id="no-verdict",
            what=f"the run {folder.name} ended without a verdict",
            where=str(folder),
            fix="what it left is there; lab report RUN shows an earlier one",
            exit_code=Exit.NO_VERDICT,
        )
    try:
        return verdict_from_json(json.loads(path.read_text()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise LabError(
            id="verdict-unreadable",
            what=f"the verdict of {folder.name} cannot be read: {error!r}",
            where=str(path),
            fix="its ledgers are beside it; lab report of another run",
        ) from error


def verdicts(runs: Path) -> list[Verdict]:
    """Of all runs that have one, the oldest first."""
    return list(_verdicts(run_folders(runs)))


def report_on(folder: Path) -> Report:
    """What the folder tells, be it little: an old run may have no journal there, and one without load has no ledger."""
    ledger = folder / "client.jsonl"
    client = read_client(ledger.read_bytes().splitlines(keepends=True)) if ledger.exists() else None
    return report_of(verdict_of(folder), client, _events(folder / "events.jsonl"))


def _events(path: Path) -> Sequence[Event]:
    try:
        return [Event(**json.loads(line)) for line in path.read_text().splitlines()]
    except (OSError, ValueError, TypeError):
        return []


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
