"""A DELETE without a WHERE."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_DELETES = words(r"^delete from (only )?(?P<table>[\w.\"]+)(?!.*\bwhere\b)")


def check(step: Step) -> Iterator[Hit]:
    for statement, found in step.matching(_DELETES):
        yield Hit(
            line=statement.line,
            what=f"every row of {found['table']} is deleted, in one transaction",
            fix="say which rows, and delete them in batches",
        )
