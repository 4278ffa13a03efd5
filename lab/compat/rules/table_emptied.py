"""TRUNCATE."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_EMPTIES = words(r"^truncate (table )?(only )?(?P<table>[\w.\"]+)")


def check(step: Step) -> Iterator[Hit]:
    for statement, found in step.matching(_EMPTIES):
        yield Hit(
            line=statement.line,
            what=f"{found['table']} is emptied, under a lock that stops every read",
            fix="move rows in batches, and drop the table when nobody needs it",
        )
