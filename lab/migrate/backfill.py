"""Rows filled in batches by key: each batch and the place it came to are one transaction."""

import json
import time
from typing import Any

from lab.database import Database, Session
from lab.errors import LabError
from lab.migrate.plan import Backfill, Fill, Phase
from lab.migrate.sql import Locks
from lab.migrate.state import Journal, Step
from lab.migrate.sync import PLACE, Sync
from lab.migrate.waiting import Manner, Patience, insist

LONGEST_BATCH = 0.1
"""Seconds. Others wait for its rows no longer than that: a batch that takes more is halved."""
LEAST_BATCH = 10
TOLD_EVERY = 1.0


def fill(database: Database, session: Session, journal: Journal, *, manner: Manner, phase: Phase, step: Step) -> int:
    """Fill until a batch fills nothing, from where an earlier run came to. Returns how many rows in all."""
    if phase.backfill is None:
        return 0
    plan, sql = phase.backfill, batch_sql(phase.backfill)
    by_file = not isinstance(plan.source, Sync | Fill)
    cursor = step.cursor if step.cursor is not None or not by_file else 0
    progress = _Progress(manner, phase.name, step, _remaining(session, journal, plan, phase, step))
    filled, size = step.filled, plan.batch

    def one(patience: Patience) -> tuple[Any, int]:
        with session.transaction():
            session.limit(lock=patience.lock, statement=patience.statement, local=True)
            last, count = _asked(session.run(sql, {"after": cursor, "batch": size}, called=_name(plan)), plan)
            if count:
                journal.note(phase, "up", cursor=json.dumps(last, default=str), filled=filled + count)
            return last, count

    while True:
        began = time.monotonic()
        last, count = insist(one, locks=Locks.ROWS, phase=phase.name, database=database, session=session, manner=manner)
        took = time.monotonic() - began
        if not count:
            progress.over(filled)
            return filled
        cursor, filled = last, filled + count
        progress.at(filled)
        size = max(LEAST_BATCH, size // 2) if took > LONGEST_BATCH else min(plan.batch, size * 2)
        manner.sleep(manner.spread(plan.delay, plan.delay * 2))


def batch_sql(plan: Backfill) -> str:
    """One batch: fills up to %(batch)s rows above %(after)s, and says the last key and how many."""
    match plan.source:
        case Fill() as it:
            return _generated(it.table, it.key, it.key_type, it.set, it.where)
        case Sync() as it:
            columns = {column: PLACE.sub(r"t.\1", sql) for column, sql in it.to_new.items()}
            return _generated(it.table, it.key, it.key_type, columns, it.missing("t"))
        case path:
            return path.read_text()


def _generated(table: str, key: str, kind: str, columns: Any, where: str) -> str:
    """New values are computed in the statement that locks the rows: read before, a write in between would be lost."""
    assigned = ", ".join(f"{column} = {sql}" for column, sql in columns.items()).replace("%", "%%")
    found = where.replace("%", "%%")
    return f"""
with batch as (
    select t.{key} from {table} t
    where (%(after)s::{kind} is null or t.{key} > %(after)s::{kind}) and ({found})
    order by t.{key} limit %(batch)s for update
), filled as (
    update {table} t set {assigned} from batch where t.{key} = batch.{key} returning t.{key}
)
select (select {key} from filled order by {key} desc limit 1), (select count(*) from filled)"""  # noqa: S608


def _asked(rows: list[tuple[Any, ...]], plan: Backfill) -> tuple[Any, int]:
    if len(rows) == 1 and len(rows[0]) == 2 and isinstance(rows[0][1], int):  # noqa: PLR2004
        return rows[0][0], rows[0][1]
    raise LabError(
        id="schema-backfill",
        what=f"{_name(plan)} does not say where it came to",
        fix="its last statement returns one row: the last key, and how many rows were filled",
    )


def _remaining(session: Session, journal: Journal, plan: Backfill, phase: Phase, step: Step) -> int | None:
    if step.remaining is not None or plan.remaining is None:
        return step.remaining
    remaining = int(session.run(plan.remaining, called="remaining")[0][0])
    journal.note(phase, "up", remaining=remaining)
    return remaining


def _name(plan: Backfill) -> str:
    match plan.source:
        case Fill() as it:
            return f"the backfill of {it.table}"
        case Sync() as it:
            return f"the backfill of {it.table}"
        case path:
            return path.name


class _Progress:
    """Tells at most once a second, and of the first batch and the end."""

    def __init__(self, manner: Manner, phase: str, step: Step, total: int | None) -> None:
        self._manner = manner
        self._phase = phase
        self._from = step.filled
        self._total = total
        self._began = time.monotonic()
        self._told = -TOLD_EVERY
        if step.filled:
            manner.told(phase, f"goes on after {step.filled} rows")

    def at(self, filled: int) -> None:
        now = time.monotonic()
        if now - max(self._told, 0) < TOLD_EVERY and self._told >= 0:
            return
        self._told = now
        self._manner.told(self._phase, f"{filled} rows filled{self._left(filled, now - self._began)}")

    def over(self, filled: int) -> None:
        if filled > self._from:
            seconds = time.monotonic() - self._began
            self._manner.told(self._phase, f"{filled} rows filled, all in {seconds:.1f}s")

    def _left(self, filled: int, seconds: float) -> str:
        if not self._total:
            return ""
        left = max(0, self._total - filled)
        rate = (filled - self._from) / seconds if seconds else 0.0
        eta = f", {left / rate:.0f}s left" if rate else ""
        return f" of about {max(self._total, filled)}{eta}"
