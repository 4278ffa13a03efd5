"""PURE: which revision `lab rollback --to VERSION|REVISION` means."""

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
    if text in reached:
        return f"only the last {KEPT_REVISIONS} revisions are kept"
    return "it never ran that"
