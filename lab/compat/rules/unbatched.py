"""A write of many rows in one statement keeps every one of them locked until it is over."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_WRITES = words(r"^(?P<verb>update (only )?(?P<a>[\w.\"]+)|insert into (?P<b>[\w.\"]+).*\bselect\b)")
_BOUNDED = words(r"\blimit\b|%\(batch\)s")


def check(step: Step) -> Iterator[Hit]:
    for statement, found in step.matching(_WRITES):
        if not _BOUNDED.search(statement.text):
            yield Hit(
                line=statement.line,
                what=f"all rows of {found['a'] or found['b']} are written in one transaction",
                fix="make it the phase's `backfill`: batches by key, each a transaction of its own",
            )
