"""A trigger that keeps two shapes equal goes while a version still writes only one of them."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_DROPS = words(r"^drop trigger (if exists )?(?P<name>[\w\"]+)")


def check(step: Step) -> Iterator[Hit]:
    if step.contracts:
        return
    for statement, found in step.matching(_DROPS):
        yield Hit(
            line=statement.line,
            what=f"the trigger {found['name']} is dropped in a phase that takes no version away: what one version "
            "writes, the other will not see any more",
            fix="drop it in the phase that contracts, in the same transaction as its columns",
        )
