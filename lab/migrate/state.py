"""What the database itself remembers of a change: the phases reached, the step under way, the versions that are gone.

The tables are the one authority, and what is under way is written in the transactions of the work itself: killed
anywhere, the next run knows what is done.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from lab.database import Parameters, Session
from lab.errors import LabError
from lab.migrate.plan import NOTHING, ChangePlan, Phase

RUN_LOCK = 4997443
TABLES = """
create table if not exists lab_schema (
    id bigserial primary key, change text not null, phase text not null, at timestamptz not null default now(),
    forced text
);
alter table lab_schema add column if not exists forced text;
create table if not exists lab_schema_step (
    change text not null, phase text not null, direction text not null, digest text not null,
    done integer not null default 0, trying boolean not null default false,
    cursor text, filled bigint not null default 0, remaining bigint, at timestamptz not null default now(),
    primary key (change, phase, direction)
);
create table if not exists lab_gone (
    version text primary key, phase text not null, since timestamptz not null default now()
);
"""
_THERE = "select to_regclass('lab_schema')"
_COMPLETE = "select to_regclass('lab_gone') is not null"


class Asked(Protocol):
    """A database, for one question."""

    def query(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step under way. `done`: so many of its transactions; `trying`: the next one, which may be half done."""

    phase: str
    direction: str
    digest: str = ""
    done: int = 0
    trying: bool = False
    cursor: Any = None
    filled: int = 0
    remaining: int | None = None


def current_phase(database: Asked) -> str:
    """The schema's phase; `none` on an empty database."""
    if database.query(_THERE)[0][0] is None:
        return NOTHING
    rows = database.query("select phase from lab_schema order by id desc limit 1")
    return str(rows[0][0]) if rows else NOTHING


def gone_versions(database: Asked) -> dict[str, str]:
    """The versions that may not start, each with the phase whose doing that is."""
    if database.query("select to_regclass('lab_gone')")[0][0] is None:
        return {}
    return {str(row[0]): str(row[-1]) for row in database.query("select version, phase from lab_gone order by 1")}


def forced_reason(database: Asked) -> str | None:
    """Why somebody took a step against the guard; None if nobody did."""
    if database.query("select to_regclass('lab_gone')")[0][0] is None:
        return None
    rows = database.query("select phase, forced from lab_schema where forced is not null order by id desc limit 1")
    return f"{rows[0][0]}: {rows[0][1]}" if rows else None


def prepare(session: Session) -> None:
    """Make the tables, once. The session holds the run lock, which keeps everybody else out."""
    if not session.run(_COMPLETE)[0][0]:
        with session.transaction():
            session.run(TABLES)


def phase_of(session: Session, plan: ChangePlan) -> str:
    """LabError `other-change` if the database is in the middle of another plan."""
    rows = session.run("select change, phase from lab_schema order by id desc limit 1")
    if not rows:
        return NOTHING
    change, phase = rows[0]
    if change != plan.id:
        raise LabError(
            id="other-change",
            what=f"the database is at {phase} of the change {change!r}, and the plan is of {plan.id!r}",
            where=str(plan.file),
            fix="use the plan of that change",
        )
    return str(phase)


class Journal:
    """Reads and writes the step under way of one plan."""

    def __init__(self, session: Session, plan: ChangePlan) -> None:
        self._session = session
        self._plan = plan

    def unfinished(self) -> list[Step]:
        rows = self._session.run(
            "select phase, direction, digest, done, trying, cursor, filled, remaining from lab_schema_step"
            " where change = %s",
            (self._plan.id,),
        )
        return [_step(row) for row in rows]

    def step(self, phase: str, direction: str) -> Step | None:
        return next((s for s in self.unfinished() if (s.phase, s.direction) == (phase, direction)), None)

    def begin(self, phase: Phase, direction: str, prefix: Callable[[int], str]) -> Step:
        """The step as far as it is. LabError `schema-edited` if what is done of it was other SQL.

        `prefix`: the digest of the first so many transactions.
        """
        self._session.run(
            "insert into lab_schema_step(change, phase, direction, digest) values (%s, %s, %s, %s)"
            " on conflict (change, phase, direction) do nothing",
            (self._plan.id, phase.name, direction, prefix(0)),
        )
        (step,) = (s for s in self.unfinished() if (s.phase, s.direction) == (phase.name, direction))
        if step.digest != prefix(step.done + step.trying):
            raise LabError(
                id="schema-edited",
                what=f"the SQL of {phase.name} ({direction}) was changed where {step.done} transactions are done",
                where=str(self._plan.file),
                fix="put what is done back as it was; what is not done yet may be changed",
            )
        return step

    def note(self, phase: Phase, direction: str, **values: object) -> None:
        """Within the transaction of the work that it tells of."""
        names = ", ".join(f"{name} = %s" for name in values)
        self._session.run(
            f"update lab_schema_step set {names}, at = now() where change = %s and phase = %s and direction = %s",  # noqa: S608
            (*values.values(), self._plan.id, phase.name, direction),
        )

    def finish(self, step: Phase, direction: str, *, reached: str, forced: str | None) -> None:
        """The phase reached, and with it which versions are gone; one transaction."""
        with self._session.transaction():
            self._session.run(
                "insert into lab_schema(change, phase, forced) values (%s, %s, %s)", (self._plan.id, reached, forced)
            )
            self.forget(step.name, direction)
            self.lose(self._plan.gone_at(reached), reached)

    def forget(self, phase: str, direction: str) -> None:
        self._session.run(
            "delete from lab_schema_step where change = %s and phase = %s and direction = %s",
            (self._plan.id, phase, direction),
        )

    def lose(self, versions: frozenset[str], phase: str) -> None:
        """From its commit on none of these versions starts; of this plan's versions all others do."""
        known = sorted({*self._plan.versions, *versions})
        self._session.run("delete from lab_gone where version = any(%s)", (known,))
        for version in sorted(versions):
            self._session.run("insert into lab_gone(version, phase) values (%s, %s)", (version, phase))


def _step(row: tuple[Any, ...]) -> Step:
    phase, direction, digest, done, trying, cursor, filled, remaining = row
    return Step(
        phase=phase,
        direction=direction,
        digest=digest,
        done=done,
        trying=trying,
        cursor=None if cursor is None else json.loads(cursor),
        filled=filled,
        remaining=remaining,
    )
