"""A view on `*` has the columns of the day it was made."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_VIEWS = words(r"^create (or replace )?(materialized )?view (?P<name>[\w.\"]+).*\bselect (distinct )?([\w\"]+\.)?\*")


def check(step: Step) -> Iterator[Hit]:
    for statement, found in step.matching(_VIEWS):
        yield Hit(
            line=statement.line,
            what=f"the view {found['name']} selects *: it keeps the columns of this moment, and pins every one of them",
            fix="name its columns",
        )
