"""A default that changes splits the rows of one time in two meanings, without an error."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_SETS = words(r"\balter (column )?(?P<column>\w+) (set|drop) default\b")


def check(step: Step) -> Iterator[Hit]:
    for statement, found in step.matching(_SETS):
        yield Hit(
            line=statement.line,
            what=f"the default of {found['column']} changes: whoever leaves the column out now writes another meaning",
            fix="let every version write the value itself first, and change the default when the old ones are gone",
        )
