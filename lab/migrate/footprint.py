"""What a step does to those who use the tables meanwhile, measured where nobody does: locks, rewrites, stalls."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab.database import Database, Session
from lab.migrate import state
from lab.migrate.clone import cloned
from lab.migrate.plan import NOTHING, ChangePlan
from lab.migrate.runner import step_up
from lab.migrate.sql import READS, WRITES, Statement, Unit
from lab.migrate.waiting import Manner, Witness

_TABLES = """
select c.oid::bigint, c.oid::regclass::text, pg_relation_filenode(c.oid)::bigint from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  and c.relname not in ('lab_schema', 'lab_schema_step', 'lab_gone')
"""
_LOCKS = """
select relation::bigint, mode from pg_locks where pid = pg_backend_pid() and granted and locktype = 'relation'
"""
QUIET = frozenset({"AccessShareLock", "RowShareLock", "RowExclusiveLock"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Of one transaction on one table. `stall`: seconds from the lock to its release; 0 where nobody waits for it."""

    unit: str
    table: str
    lock: str
    rewritten: bool
    stall: float

    @property
    def blocks(self) -> str:
        return "reads and writes" if self.lock in READS else "writes" if self.lock in WRITES else "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A step taken on a copy: what it did to each table, and how long it took in all."""

    phase: str
    seconds: float
    footprints: tuple[Footprint, ...]
    told: tuple[str, ...]


def rehearse(database: Database, plan: ChangePlan, goal: str, manner: Manner | None = None) -> tuple[Rehearsal, ...]:
    """Take the steps to `goal` on a copy that is thrown away. Raises what the real steps would raise."""
    done: list[Rehearsal] = []
    with cloned(database) as clone:
        now = state.current_phase(clone)
        start = -1 if now == NOTHING else plan.index(now)
        for phase in plan.phases[start + 1 : plan.index(goal) + 1]:
            watch, told, began = _Watch(), list[str](), time.monotonic()
            tried = Manner(
                told=lambda _, what, told=told: told.append(what),  # type: ignore[misc]
                sleep=lambda _: None,
                patience=(manner or Manner()).patience,
                witness=watch,
            )
            step_up(clone, plan, phase, manner=tried)
            took = time.monotonic() - began
            found = tuple(watch.found)
            done.append(Rehearsal(phase=phase.name, seconds=took, footprints=found, told=tuple(told)))
    return tuple(done)


class _Watch(Witness):
    def __init__(self) -> None:
        self.found: list[Footprint] = []
        self._held: dict[int, tuple[str, float]] = {}
        self._tables: dict[int, tuple[str, int]] = {}

    @contextmanager
    def unit(self, session: Session, unit: Unit) -> Iterator[None]:
        self._tables, self._held = _tables(session), {}
        began = time.monotonic()
        yield
        over, after = time.monotonic(), _tables(session)
        if unit.outside:
            self._held = self._guessed(unit, began)
        for table, (mode, since) in sorted(self._held.items(), key=lambda held: self._tables[held[0]][0]):
            name, node = self._tables[table]
            stall = over - since if mode in READS | WRITES else 0.0
            moved = table in after and after[table][1] != node
            self.found.append(Footprint(unit=unit.told, table=name, lock=mode, rewritten=moved, stall=stall))

    @contextmanager
    def statement(self, session: Session, statement: Statement) -> Iterator[None]:  # noqa: ARG002
        began = time.monotonic()
        yield
        for table, mode in session.run(_LOCKS):
            if table not in self._tables or mode in QUIET:
                continue
            had, since = self._held.get(table, ("", began))
            self._held[table] = (max(had, mode, key=_strength), since)

    def _guessed(self, unit: Unit, began: float) -> dict[int, tuple[str, float]]:
        """Outside of a transaction its locks are gone when one can look: these are the documented ones."""
        words = unit.statements[0].text.lower().replace("(", " ").split()
        return {
            table: ("ShareUpdateExclusiveLock", began)
            for table, (name, _) in self._tables.items()
            if name.lower() in words
        }


def _strength(mode: str) -> int:
    return 0 if not mode else 3 if mode in READS else 2 if mode in WRITES else 1


def _tables(session: Session) -> dict[int, tuple[str, int]]:
    return {oid: (name, node or 0) for oid, name, node in session.run(_TABLES)}
