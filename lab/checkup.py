"""PURE: what `lab doctor` found, line by line, each problem with its fix."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


class Mark(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line. `id` is stable; `fix` says what to do about a warning or a problem."""

    id: str
    mark: Mark
    what: str
    fix: str = ""

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "ok": self.mark is not Mark.PROBLEM}


MARKS = {Mark.OK: "✔", Mark.WARNING: "!", Mark.PROBLEM: "✖"}


def check(id: str, good: bool, what: str, fix: str, *, otherwise: Mark = Mark.PROBLEM) -> Check:
    return Check(id=id, mark=Mark.OK if good else otherwise, what=what, fix="" if good else fix)


def problems(checks: Sequence[Check]) -> int:
    return sum(one.mark is Mark.PROBLEM for one in checks)


def checkup_lines(checks: Sequence[Check]) -> list[str]:
    lines = []
    for one in checks:
        lines.append(f"[{MARKS[one.mark]}] {one.what}")
        lines += [f"      fix: {line}" for line in one.fix.splitlines()[:1]]
        lines += [f"           {line}" for line in one.fix.splitlines()[1:]]
    return [*lines, _summary(problems(checks), sum(one.mark is Mark.WARNING for one in checks))]


def _summary(bad: int, doubtful: int) -> str:
    told = [f"{count} {name}{'s' * (count != 1)}" for count, name in ((bad, "problem"), (doubtful, "warning")) if count]
    return ", ".join(told) + "." if told else "All is well."
