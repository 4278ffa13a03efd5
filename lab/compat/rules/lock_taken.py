"""A lock that is taken by hand is held to the end of its transaction."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_LOCKS = words(r"^lock (table )?(only )?(?P<table>[\w.\"]+)")


def check(step: Step) -> Iterator[Hit]:
    for statement, found in step.matching(_LOCKS):
        yield Hit(
            line=statement.line,
            what=f"{found['table']} is locked by hand: everybody waits until the transaction is over",
            fix="leave the lock to the statement that needs it; the runner bounds how long it is waited for",
        )
