"""PURE: the revisions that a fleet ran, and which one `lab rollback --to VERSION|REVISION` means."""

from collections.abc import Sequence
from typing import Any

from lab.errors import LabError
from lab.folds import KEPT_REVISIONS, History


def rollback_target(history: History, text: str) -> int:
    """A revision's number, or the last one of that version. LabError `no-revision` for what cannot be gone back to."""
    targets = history.targets
    for number in targets:
        if text in {str(number), history.revisions[number].version}:
            return number
    known = ", ".join(f"{n} ({history.revisions[n].version})" for n in targets) or "none"
    raise LabError(
        id="no-revision", what=f"the fleet cannot go back to {text}: {_why(history, text)}", fix=f"one of: {known}"
    )


def _why(history: History, text: str) -> str:
    reached = {name for r in history.reached for name in (str(r.number), history.revisions[r.number].version)}
    now = history.revisions.get(history.current or 0)
    if now is not None and text in {str(now.number), now.version}:
        return "it runs that already"
    given_up = {name for n in history.given_up for name in (str(n), history.revisions[n].version)}
    if text in given_up:
        return "the schema was contracted, and no longer serves it"
    if text in reached:
        return f"only the last {KEPT_REVISIONS} revisions are kept"
    return "it never ran that"


def history_rows(history: History) -> list[dict[str, Any]]:
    """The last reached first. `is`: current, previous, target or gone."""
    rows = []
    for reached in history.reached:
        revision = history.revisions[reached.number]
        rows.append(
            {
                "revision": reached.number,
                "version": revision.version,
                "image": revision.image_id.removeprefix("sha256:")[:12],
                "reached": reached.wall,
                "run": reached.run,
                "is": _is(history, reached.number),
            }
        )
    return rows


def _is(history: History, number: int) -> str:
    if number == history.current:
        return "current"
    if number == history.previous:
        return "previous"
    return "target" if number in history.targets else "gone"


_SAYS = {"previous": "previous: lab rollback", "target": "lab rollback --to", "gone": "gone"}


def history_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [("REVISION", "VERSION", "IMAGE", "REACHED", "RUN", "")]
    for row in rows:
        says = _SAYS.get(row["is"], row["is"]) + (f" {row['revision']}" if row["is"] == "target" else "")
        reached = row["reached"][:19].replace("T", " ")
        lines.append((str(row["revision"]), row["version"], row["image"], reached, row["run"], says))
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
