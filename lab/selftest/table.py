"""What was done, how often it is known to have happened, and how often the verdict found it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.proof import Class, Verdict
from lab.proof.result import CODES

NOT_DROPPED = frozenset({Class.MASKED})
MOST_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """One control. `truth`: the requests that it harmed, by class, as somebody knows who does not judge.

    known_from: who. Nothing is expected of the negative control, and `some` is false for it alone. mark: what the
    verdict must be marked with.
    """

    control: str
    known_from: str
    truth: Mapping[Class, frozenset[str]]
    some: bool = True
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """missed, invented: requests that only the one side names; of what was masked no verdict names any."""

    control: str
    cls: Class | None
    known_from: str
    expected: int
    found: int
    ok: bool
    missed: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    rows: tuple[Row, ...]
    requests: int
    seconds: float
    folder: str = field(default="")

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)


def rows_of(harm: Harm, verdict: Verdict) -> tuple[Row, ...]:
    """A row for each class that was harmed or found; one for the whole control where there is none."""
    found = _found(verdict)
    classes = sorted({*harm.truth, *verdict.dropped_by_class} | ({Class.MASKED} if verdict.masked else set()))
    if not any(harm.truth.values()) and harm.some:
        why = "nothing was harmed, so nothing could be found"
        return (_row(harm, None, expected=0, found=verdict.dropped + verdict.masked, ok=False, why=why),)
    if not classes:
        why = "" if not verdict.reasons else verdict.reasons[0].message
        return (_row(harm, None, expected=0, found=0, ok=not verdict.reasons, why=why),)
    unmarked = bool(harm.mark) and harm.mark not in verdict.run.marks
    return tuple(_class_row(harm, cls, found.get(cls, frozenset()), verdict, unmarked=unmarked) for cls in classes)


def table_text(table: Table) -> str:
    lines = [f"{'control':<34} {'class':<16} {'expected':>8} {'found':>6}          known from"]
    for row in table.rows:
        mark = "ok    " if row.ok else "MISSED"
        name = "dropped" if row.cls is None else f"{CODES.get(row.cls, '')} {row.cls.value}".strip()
        lines.append(f"{row.control:<34} {name:<16} {row.expected:>8} {row.found:>6}  {mark}  {row.known_from}")
        lines += [f"  {told}" for told in _told(row)]
    bad = sum(not row.ok for row in table.rows)
    outcome = "✔ all found exactly" if table.ok else f"✖ {bad} of {len(table.rows)} not found exactly"
    requests = f"{table.requests:,}".replace(",", " ")
    lines.append(f"{outcome}, of {requests} requests in {table.seconds:.1f}s")
    if not table.ok and table.folder:
        lines.append(f"  ledgers and logs: {table.folder}")
    return "\n".join(lines) + "\n"


def table_to_json(table: Table) -> dict[str, Any]:
    return {
        "schema": "lab.selftest/1",
        "ok": table.ok,
        "requests": table.requests,
        "seconds": round(table.seconds, 1),
        "folder": table.folder,
        "rows": [
            {
                "control": row.control,
                "class": row.cls and row.cls.value,
                "code": row.cls and CODES.get(row.cls),
                "known_from": row.known_from,
                "expected": row.expected,
                "found": row.found,
                "ok": row.ok,
                "missed": list(row.missed),
                "invented": list(row.invented),
                "why": row.why,
            }
            for row in table.rows
        ],
    }


def _class_row(harm: Harm, cls: Class, found: frozenset[str], verdict: Verdict, *, unmarked: bool) -> Row:
    wanted = harm.truth.get(cls, frozenset())
    if cls in NOT_DROPPED:
        return _row(harm, cls, expected=len(wanted), found=verdict.masked, ok=len(wanted) == verdict.masked)
    return _row(
        harm,
        cls,
        expected=len(wanted),
        found=len(found),
        ok=wanted == found and not unmarked,
        missed=sorted(wanted - found),
        invented=sorted(found - wanted),
        why=f"the verdict is not marked with {harm.mark}" if unmarked else "",
    )


def _row(
    harm: Harm,
    cls: Class | None,
    *,
    expected: int,
    found: int,
    ok: bool,
    missed: Sequence[str] = (),
    invented: Sequence[str] = (),
    why: str = "",
) -> Row:
    return Row(
        control=harm.control,
        cls=cls,
        known_from=harm.known_from,
        expected=expected,
        found=found,
        ok=ok,
        missed=tuple(missed),
        invented=tuple(invented),
        why=why,
    )


def _found(verdict: Verdict) -> Mapping[Class, frozenset[str]]:
    found: dict[Class, set[str]] = {}
    for drop in verdict.drops:
        found.setdefault(drop.cls, set()).add(drop.id)
    return {cls: frozenset(ids) for cls, ids in found.items()}


def _told(row: Row) -> list[str]:
    told = [row.why] if row.why else []
    for what, ids in (("missed", row.missed), ("invented", row.invented)):
        if ids:
            more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
            told.append(f"{what}: {', '.join(ids[:MOST_NAMED])}{more}")
    return told
