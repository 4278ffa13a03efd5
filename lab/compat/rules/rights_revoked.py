"""REVOKE fails the very next statement of a version that runs (42501)."""

from collections.abc import Iterator

from lab.compat.rules.step import Hit, Step, words

_REVOKES = words(r"^revoke\b")


def check(step: Step) -> Iterator[Hit]:
    for statement, _ in step.matching(_REVOKES):
        yield Hit(
            line=statement.line,
            what="a right is revoked: whoever runs and needs it fails at once (42501)",
            fix="revoke it in a phase of its own, after the last version that needs it is gone",
        )
