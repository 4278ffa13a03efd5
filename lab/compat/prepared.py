"""Level 1: does every statement of a version still make sense on a phase? PREPARE asks without running anything."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.compat.catalogue import Symptom
from lab.compat.model import Failure
from lab.database import Session, SqlError

UNDECIDABLE = frozenset({"42P18", "42P02"})
"""The server cannot tell a parameter's type from the text alone; the driver had told it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What came of each statement: None is well. `undecided`: nobody can tell from the text alone."""

    told: Mapping[str, Failure | None]
    undecided: frozenset[str]

    @property
    def asked(self) -> int:
        return len(self.told)

    @property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(failure for failure in self.told.values() if failure is not None)

    @property
    def strange(self) -> frozenset[str]:
        """Where the version has run all of them: what cannot be prepared from its text, although it is right."""
        return self.undecided | {sql for sql, failure in self.told.items() if failure is not None}

    def without(self, left_out: Collection[str]) -> "Prepared":
        return replace(self, told={sql: failure for sql, failure in self.told.items() if sql not in left_out})


def prepare(session: Session, statements: Sequence[str], version: str) -> Prepared:
    """Each statement on its own, on a session that may be used for others too."""
    told, undecided = dict[str, Failure | None](), set[str]()
    for sql in statements:
        try:
            session.run(f"prepare lab_compat as {sql}")
        except SqlError as error:
            if error.sqlstate in UNDECIDABLE:
                undecided.add(sql)
            else:
                told[sql] = _failure(error, sql, version)
        else:
            session.run("deallocate lab_compat")
            told[sql] = None
    return Prepared(told=told, undecided=frozenset(undecided))


def _failure(error: SqlError, sql: str, version: str) -> Failure:
    return Failure(
        level=1,
        symptom=Symptom.ERROR,
        what=f"{version}: a statement of it cannot be run any more",
        sqlstate=error.sqlstate,
        message=_message(error),
        sql=sql,
    )


def _message(error: SqlError) -> str:
    return error.what.partition(f": {error.sqlstate} ")[2].splitlines()[0]
