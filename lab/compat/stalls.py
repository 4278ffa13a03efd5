"""PURE: whether a step makes an app's statements wait, told by locks and by rows that were read, not by a clock.

Two ways are known. A step that waits for a slow reader without giving way has everybody behind it. And a step that
holds others up while it works through every row of a table takes as long as the table is large, however short it is
here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.compat.catalogue import Symptom
from lab.compat.model import Failure
from lab.migrate.sql import READS, WRITES

STALL_SECONDS = 2.5
"""Whoever has to wait longer is held up."""
ALONE_SECONDS = 1.0
"""A step that waits so long, and nobody behind it, hurts nobody."""
LEAST_ROWS = 20
"""A table with fewer rows is not one that grows with its users."""
SHOWN = 90
_WRITES_ROWS = re.compile(r"\s*(update|delete)\b(?!.*\blimit\b)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A step's statement that waits for the reader. `attempt`: another one has another; `seconds`: for how long."""

    attempt: tuple[int, str]
    seconds: float
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A statement of a version that waits for the step's."""

    version: str
    sql: str


@dataclass(slots=True)
class Queue:
    """What is seen while a reader holds the tables: whether the step gives way to those behind it."""

    wait: Wait | None = None
    behind: dict[str, Behind] = field(default_factory=dict)
    stalled: bool = False

    def saw(self, wait: Wait | None, behind: Sequence[Behind]) -> bool:
        """One look. True: the reader has seen enough, and may go."""
        if self.wait is not None and (wait is None or wait.attempt != self.wait.attempt):
            return True  # the reader is there still: nothing but giving way ends a wait for it
        if wait is None:
            return False
        self.wait = wait
        self.behind |= {one.version: one for one in behind}
        self.stalled = wait.seconds >= STALL_SECONDS and bool(self.behind)
        return self.stalled or (wait.seconds >= ALONE_SECONDS and not self.behind)

    def failures(self) -> list[Failure]:
        if self.wait is None or not self.stalled:
            return []
        step = self.wait.sql
        why = f"which waits for a slow reader and does not give way in {STALL_SECONDS:g} s"
        return [_stall(one, step, why, entry="lock-queue") for one in self.behind.values()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a transaction has done to a table so far: `read` and `written` rows, and its locks by their modes."""

    read: int = 0
    written: int = 0
    modes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Large:
    """A statement takes as long as the table is large, and holds others up for that long."""

    table: str
    why: str


def large(
    statement: str, rows: Mapping[str, int], before: Mapping[str, Work], after: Mapping[str, Work]
) -> list[Large]:
    """The tables of which a statement did something with every row, in the way of others. `rows`: as many each has."""
    found = []
    for table, work in after.items():
        least, was = rows.get(table, 0), before.get(table, Work())
        if least < LEAST_ROWS:
            continue
        if work.written - was.written >= least and _WRITES_ROWS.match(statement):
            found.append(Large(table=table, why=f"which writes every row of {table} in one transaction"))
        elif work.read - was.read >= least and (held := work.modes & (WRITES | READS)):
            whom = "everybody waits" if held & READS else "writes wait"
            found.append(Large(table=table, why=f"which reads every row of {table} under a lock for which {whom}"))
    return found


def held_up(found: Large, statement: str, behind: Sequence[Behind]) -> list[Failure]:
    """One for each version whose statement was seen to wait for it."""
    why = f"{found.why}: it lasts as long as the table is large"
    return [_stall(one, statement, why) for one in {one.version: one for one in behind}.values()]


def _stall(behind: Behind, step: str, why: str, *, entry: str = "") -> Failure:
    return Failure(
        level=4,
        symptom=Symptom.STALL,
        what=f"{behind.version}: `{_short(behind.sql)}` waits for `{_short(step)}`, {why}",
        sql=step,
        entry=entry,
    )


def _short(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 2]}.."
