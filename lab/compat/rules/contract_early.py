"""A phase that still serves every version so far takes away what one of them may need."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_TAKES = words(
    r"\b(drop table|drop view|drop column|rename to|rename column|rename \w+ to|alter column \w+ set not null"
    r"|alter column \w+ (set data )?type|alter column \w+ drop default)\b"
)


def check(step: Step) -> Iterator[Hit]:
    if step.contracts:
        return
    for statement, found in step.matching(_TAKES):
        yield Hit(
            line=statement.line,
            what=f"`{found[0].lower()}` in a phase that takes no version away: an older version may need it",
            fix="put it into the phase that contracts",
        )
