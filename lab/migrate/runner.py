"""Takes the schema from phase to phase. The phase stands in the database's own table: it is the one authority."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from lab.database import Database
from lab.errors import LabError
from lab.migrate.plan import ChangePlan, Phase

BATCH = 500
NOTHING = "none"
_TABLE = """
create table if not exists lab_schema (
    id bigserial primary key, change text not null, phase text not null, at timestamptz not null default now()
)
"""
_RECORD = "insert into lab_schema(change, phase) values (%s, %s)"

Told = Callable[[str, str], None]
"""Progress: (phase, what)."""


def _silent(_phase: str, _what: str) -> None: ...


def current_phase(database: Database) -> str:
    """The schema's phase; `none` on an empty database."""
    if database.query("select to_regclass('lab_schema')")[0][0] is None:
        return NOTHING
    rows = database.query("select phase from lab_schema order by id desc limit 1")
    return str(rows[0][0]) if rows else NOTHING


def go_to(database: Database, plan: ChangePlan, phase: str, told: Told = _silent) -> None:
    """Take every step up to that phase. LabError `schema-down` if it lies behind."""
    goal = plan.index(phase)
    now = current_phase(database)
    start = -1 if now == NOTHING else plan.index(now)
    if start > goal:
        raise LabError(
            id="schema-down",
            what=f"the schema is {now}, which is past {phase}",
            fix="lab down, then lab up --schema " + phase,
        )
    for step in plan.phases[start + 1 : goal + 1]:
        step_up(database, plan, step, told)


def step_up(database: Database, plan: ChangePlan, phase: Phase, told: Told = _silent) -> None:
    """Take the one step that leads to `phase`: its SQL, its backfill, its verification; and record it.

    A step of SQL alone is recorded in the SQL's own transaction: killed in between, it could never be taken again.
    """
    database.execute(_TABLE)
    record = (plan.id, phase.name)
    if phase.up:
        told(phase.name, phase.up.name)
        if not (phase.backfill or phase.verify):
            database.run_file(phase.up, then=_RECORD, parameters=record)
            return
        database.run_file(phase.up)
    if phase.backfill:
        backfill(database, phase, told)
    if phase.verify:
        _verify(database, phase.verify, phase.name)
    database.execute(_RECORD, record)


def backfill(database: Database, phase: Phase, told: Told = _silent) -> int:
    """Fill in batches by key, each its own transaction, until a batch fills nothing. Returns how many rows."""
    if phase.backfill is None:
        return 0
    sql, after, filled = phase.backfill.read_text(), 0, 0
    while True:
        last, count = database.query(sql, {"after": after, "batch": BATCH})[0]
        if not count:
            return filled
        after, filled = int(last), filled + int(count)
        told(phase.name, f"{filled} rows filled")
        time.sleep(random.uniform(0, 0.01))  # noqa: S311  lets others in between


def _verify(database: Database, file: Path, phase: str) -> None:
    wrong = [f"{name} {value}" for name, value in database.query_file(file).items() if value]
    if wrong:
        raise LabError(
            id="schema-verify",
            what=f"the schema is not {phase} yet: {', '.join(wrong)}",
            where=file.name,
            fix="lab migrate backfill; rows that diverge are shown by the same query",
        )
