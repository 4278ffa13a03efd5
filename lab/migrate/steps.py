"""Taking the SQL of a step, transaction by transaction, so that a kill between any two is only a pause."""

import re
from collections.abc import Callable

from lab.database import Database, Session
from lab.errors import LabError
from lab.migrate.plan import Phase
from lab.migrate.sql import Unit
from lab.migrate.state import Journal, Step
from lab.migrate.waiting import Manner, Patience, insist

_BUILDS = re.compile(
    r"create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?(?P<name>\S+)\s+on\s+(?:only\s+)?(?P<table>[^\s(]+)",
    re.IGNORECASE,
)
_DROPS = re.compile(r"drop\s+index\s+concurrently\s+(?:if\s+exists\s+)?(?P<name>\S+)\s*$", re.IGNORECASE)
_INDEX = "select i.indisvalid from pg_index i where i.indexrelid = to_regclass(%s)"
_LEFT = r"""
select format('%I.%I', n.nspname, c.relname) from pg_index i
join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and c.relname ~ '_ccnew\d*$'
"""


class Taking:
    """One step's SQL on one session that holds the run lock."""

    def __init__(
        self,
        database: Database,
        session: Session,
        journal: Journal,
        *,
        manner: Manner,
        phase: Phase,
        direction: str,
        prefix: Callable[[int], str],
    ) -> None:
        self._database = database
        self._session = session
        self._journal = journal
        self._manner = manner
        self._phase = phase
        self._direction = direction
        self._prefix = prefix

    def take(self, units: tuple[Unit, ...], step: Step) -> None:
        """All that is not done yet. What it does is recorded in the transaction that does it."""
        for number, unit in enumerate(units[step.done :], start=step.done + 1):
            began = (number, step.trying and number == step.done + 1)
            with self._manner.witness.unit(self._session, unit):
                if unit.outside:
                    self._outside(unit, *began)
                else:
                    self._inside(unit, number)

    def _inside(self, unit: Unit, number: int) -> None:
        def attempt(patience: Patience) -> None:
            with self._session.transaction():
                self._session.limit(lock=patience.lock, statement=patience.statement, local=True)
                for statement in unit.statements:
                    with self._manner.witness.statement(self._session, statement):
                        self._session.run(statement.text, called=f"{unit.file}:{statement.line}")
                self._note(number)

        self._insist(unit, attempt)

    def _outside(self, unit: Unit, number: int, tried: bool) -> None:
        """What no transaction can hold: marked before, looked at after a kill, cleaned up after a failure."""
        (statement,) = unit.statements
        name = self._index_of(unit)
        done = tried and self._is_done(statement.text, name)
        if not done:
            self._note(number - 1, trying=True)

            def attempt(patience: Patience) -> None:
                self._clean(statement.text, name)
                self._session.limit(lock=patience.lock, statement=patience.statement, local=False)
                self._session.run(statement.text, called=f"{unit.file}:{statement.line}")

            try:
                self._insist(unit, attempt)
            except LabError:
                self._clean(statement.text, name)
                self._note(number - 1)
                raise
        self._note(number)

    def _is_done(self, text: str, name: str | None) -> bool:
        if name is None:  # of the others none minds being repeated
            return False
        rows = self._session.run(_INDEX, (name,))
        return not rows if _DROPS.match(text) else bool(rows and rows[0][0])

    def _clean(self, text: str, name: str | None) -> None:
        """An index whose build failed is invalid: it costs every write, and serves no read."""
        left: list[str] = []
        if name and _BUILDS.match(text):
            rows = self._session.run(_INDEX, (name,))
            left = [name] if rows and not rows[0][0] else []
        elif text.lower().startswith("reindex"):
            left = [str(row[0]) for row in self._session.run(_LEFT)]
        for index in left:
            self._manner.told(self._phase.name, f"removes the invalid index {index}, left by a build that failed")
            self._session.limit(lock=0, statement=600, local=False)
            self._session.run(f"drop index concurrently if exists {index}")

    @staticmethod
    def _index_of(unit: Unit) -> str | None:
        text = unit.statements[0].text
        if dropped := _DROPS.match(text):
            return dropped["name"]
        built = _BUILDS.match(text)
        if built is None:
            if re.match(r"create\s", text, re.IGNORECASE) and "index" in text.lower():
                raise LabError(
                    id="schema-sql",
                    what=f"{unit.told}: an index that is built concurrently needs a name",
                    fix="name it: what a failed build leaves is found by its name",
                )
            return None
        schema = built["table"].rpartition(".")[0]
        return f"{schema}.{built['name']}" if schema else built["name"]

    def _note(self, done: int, *, trying: bool = False) -> None:
        digest = self._prefix(done + trying)
        self._journal.note(self._phase, self._direction, done=done, trying=trying, digest=digest)

    def _insist(self, unit: Unit, attempt: Callable[[Patience], None]) -> None:
        insist(
            attempt,
            locks=unit.locks,
            phase=self._phase.name,
            database=self._database,
            session=self._session,
            manner=self._manner,
        )
