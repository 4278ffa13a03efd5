"""Level 0, the SQL: squawk as a program of its own, and the rules of ours that know about versions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.compat.explain import Placed
from lab.compat.model import Lint
from lab.compat.rules import Step, findings
from lab.errors import LabError
from lab.migrate.plan import ChangePlan, Phase
from lab.migrate.sql import units_of

SECONDS = 20.0
LEFT_OUT = (
    # style
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    # the runner's business: it sets both, anew at each try
    "require-lock-timeout",
    "require-statement-timeout",
    "transaction-nesting",
)
CONTRACTS = ("ban-drop-column", "ban-drop-table", "ban-drop-function", "ban-drop-trigger", "ban-drop-constraint")
"""What a phase that contracts is for."""


def lint(plan: ChangePlan) -> tuple[Lint, ...]:
    """Every phase's SQL but the first's, which makes the tables. LabError `squawk` if it cannot be run."""
    found: list[Lint] = []
    for phase in plan.phases[1:]:
        if isinstance(phase.up, Path):
            found += _phase(plan, phase, phase.up)
    return tuple(sorted(found, key=lambda one: (plan.index(one.phase), one.file, one.line, one.rule)))


def placed(plan: ChangePlan) -> dict[str, tuple[Placed, ...]]:
    """Every statement of every phase's way up that is SQL, with its place."""
    found: dict[str, tuple[Placed, ...]] = {}
    for phase in plan.phases:
        files = [one for one in (phase.up, phase.backfill.source if phase.backfill else None) if isinstance(one, Path)]
        found[phase.name] = tuple(
            Placed(file=path.name, statement=statement)
            for path in files
            for unit in units_of(path.read_text(), file=path.name, syncs=plan.syncs)
            for statement in unit.statements
        )
    return found


def _phase(plan: ChangePlan, phase: Phase, path: Path) -> Iterator[Lint]:
    contracts = plan.contracts(phase)
    units = units_of(path.read_text(), file=path.name, syncs=plan.syncs)
    step = Step(phase=phase.name, file=path.name, units=units, contracts=contracts, syncs=frozenset(plan.syncs))
    yield from findings(step)
    for row in _squawk(path):
        if contracts and row["rule_name"] in CONTRACTS:
            continue
        yield Lint(
            phase=phase.name,
            file=path.name,
            line=int(row["line"]) + 1,
            rule=str(row["rule_name"]),
            what=str(row["message"]),
            fix=str(row.get("help") or ""),
        )


def _squawk(path: Path) -> list[dict[str, Any]]:
    program = Path(sys.executable).with_name("squawk")
    # runs of several statements are transactions of the runner's: what may not stand in one is refused elsewhere
    argv = [str(program), "--reporter", "json", *(f"--exclude={rule}" for rule in LEFT_OUT), str(path)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=path.parent)
    except FileNotFoundError:
        return []  # there is no wheel of it for this machine; said once, in the notes
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(
            id="squawk", what=f"squawk cannot be run: {error}", where=str(program), fix="make setup"
        ) from error
    if done.returncode not in {0, 1}:  # 1: it found something
        raise LabError(id="squawk", what=f"squawk failed: {done.stderr.strip()[:300]}", where=str(path))
    try:
        rows: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    except ValueError as error:
        raise LabError(id="squawk", what=f"squawk failed: {done.stderr.strip()[:300]}", where=str(path)) from error
    return rows


def squawk_is_there() -> bool:
    return Path(sys.executable).with_name("squawk").exists()
