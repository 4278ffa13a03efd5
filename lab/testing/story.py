"""PURE: what a failed assertion says: expected, seen, the first dropped request with its whole story, where to look."""

from collections.abc import Iterator
from pathlib import Path

from lab.proof import Verdict
from lab.proof.result import Drop
from lab.report.story import SAW

READS = frozenset({"GET", "HEAD"})
"""What nobody counts the executions of."""


def failed(verdict: Verdict, expected: str, seen: str, *, project: str, folder: Path) -> str:
    run = verdict.run
    rows = [
        ("expected", expected),
        ("seen", seen),
        (
            "roll",
            f"{run.command.value} {run.from_version} -> {run.to_version}, {run.rollout.value} in {run.duration_s:.1f}s",
        ),
        *_failure(verdict),
        *(_first(verdict.drops[0]) if verdict.drops else ()),
        *(("doubt", reason.message) for reason in verdict.reasons),
        ("look", f"lab report {run.run} --project {project}"),
        ("", f"{folder}: report.txt, client.jsonl, proxy.jsonl, events.jsonl, logs/"),
    ]
    return "\n" + "\n".join(_row(label, text) for label, text in rows)


def _failure(verdict: Verdict) -> Iterator[tuple[str, str]]:
    failure = verdict.run.failure
    if failure is None:
        return
    yield "why", failure.what
    if failure.where:
        yield "", failure.where
    if failure.log:
        yield "log", "\n".join(failure.log)


def _first(drop: Drop) -> Iterator[tuple[str, str]]:
    when = f"{drop.when_s:.2f}s into the roll" if drop.when_s >= 0 else f"{-drop.when_s:.2f}s before the roll"
    yield "first", f"{drop.method} {drop.path} ({drop.cohort}) {drop.id}"
    yield "", f"{when}" + (f", during {drop.step}" if drop.step else "")
    status = f", status {drop.status}" if drop.status is not None else ""
    by = f", made by the {drop.made_by}" if drop.made_by else ""
    yield "  client", f"{drop.cls}{status}{by}"
    replica = f"{drop.replica or 'no replica'}" + (f" ({drop.version})" if drop.version else "")
    yield "  proxy", replica + (f", {drop.reason}" if drop.reason else "") + (f": {drop.detail}" if drop.detail else "")
    reads = drop.method in READS and not drop.executions
    executed = "" if drop.executions is None or reads else f"; executed {drop.executions} times"
    yield "  app", SAW[drop.app_saw] + executed


def _row(label: str, text: str) -> str:
    lines = text.splitlines() or [""]
    return "\n".join(f"  {label if at == 0 else '':<9} {line}".rstrip() for at, line in enumerate(lines))
