"""Between a column and its trigger lies a moment in which writes fail, or are not carried over."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, bare, words
from lab.migrate.sql import Unit

_MAKES = words(r"^create (or replace )?(constraint )?trigger (?P<name>[\w\"]+) .*\bon (?P<table>[\w.\"]+)")
_ENDS = words(r"^drop trigger (if exists )?(?P<name>[\w\"]+) on (?P<table>[\w.\"]+)")


def check(step: Step) -> Iterator[Hit]:
    for pattern, change, danger in (
        (_MAKES, r"^alter table (if exists )?(only )?{table}\b.*\badd (?!constraint)", "are not carried over"),
        (_ENDS, r"^alter table (if exists )?(only )?{table}\b.*\bdrop (?!constraint)", "fail (42703)"),
    ):
        for unit in step.units:
            for statement in unit.statements:
                found = pattern.search(bare(statement.text))
                if found and _elsewhere(step, unit, change.format(table=found["table"])):
                    yield Hit(
                        line=statement.line,
                        what=f"the trigger {found['name']} and the columns of {found['table']} change in two "
                        f"transactions: writes between the two {danger}",
                        fix="put both between `-- lab:tx` and `-- lab:end`",
                    )


def _elsewhere(step: Step, here: Unit, change: str) -> bool:
    """The table's columns change, and in another transaction than this one only."""
    pattern = words(change)
    units = [unit for unit in step.units if any(pattern.search(bare(s.text)) for s in unit.statements)]
    return bool(units) and here not in units
