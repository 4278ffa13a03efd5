"""A lock that is waited for without a limit makes everybody wait behind it, for as long as one slow query takes."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_LIMITS = words(r"^set (local |session )?lock_timeout (= |to )")
_NONE = words(r"lock_timeout (= |to )'?0+(ms|s|min)?'?\s*$|lock_timeout (= |to )default\s*$")


def check(step: Step) -> Iterator[Hit]:
    for statement, _ in step.matching(_LIMITS):
        if _NONE.search(" ".join(statement.text.split())):
            yield Hit(
                line=statement.line,
                what="what follows waits for its lock without a limit, and every query on the table waits behind it",
                fix="leave lock_timeout to the runner: it gives way after 200 ms, and tries again",
            )
