"""Level 1: does every statement of a version still make sense on a phase? PREPARE asks without running anything."""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.compat.catalogue import Symptom
from lab.compat.model import Failure
from lab.database import Database, SqlError

UNDECIDABLE = frozenset({"42P18", "42P02"})
"""The server cannot tell a parameter's type from the text alone; the driver had told it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """`asked`: so many could be told. `failed`: with the statement's own words."""

    asked: int
    failures: tuple[Failure, ...]
    undecided: tuple[str, ...]


def prepare(database: Database, statements: Iterable[str], version: str) -> Prepared:
    """Each statement on its own; nothing is kept."""
    asked, failures, undecided = 0, list[Failure](), list[str]()
    with database.session("lab compat: prepare") as session:
        for sql in statements:
            try:
                session.run(f"prepare lab_compat as {sql}")
            except SqlError as error:
                if error.sqlstate in UNDECIDABLE:
                    undecided.append(sql)
                    continue
                failures.append(
                    Failure(
                        level=1,
                        symptom=Symptom.ERROR,
                        what=f"{version}: a statement of it cannot be run any more",
                        sqlstate=error.sqlstate,
                        message=_message(error),
                        sql=sql,
                    )
                )
            else:
                session.run("deallocate lab_compat")
            asked += 1
    return Prepared(asked=asked, failures=tuple(failures), undecided=tuple(undecided))


def _message(error: SqlError) -> str:
    return error.what.partition(f": {error.sqlstate} ")[2].splitlines()[0]
