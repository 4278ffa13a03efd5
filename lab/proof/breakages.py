"""Failures that say which version does not work with which schema phase."""

from collections import Counter
from collections.abc import Iterable

from lab.proof.classes import schema_error
from lab.proof.drops import Fleet, version_of
from lab.proof.join import Joined
from lab.proof.records import RunFacts
from lab.proof.result import Breakage
from lab.proof.steps import phase_at


def breakages(facts: RunFacts, fleet: Fleet, failed: Iterable[Joined]) -> tuple[Breakage, ...]:
    found: Counter[tuple[str, str, str, str]] = Counter()
    for joined in failed:
        error = schema_error(joined)
        if error is not None and joined.end is not None:
            version = version_of(joined, fleet) or "unknown"
            message = error.message.partition("\n")[0].strip()
            found[version, phase_at(facts, joined.end.t), error.code, message] += 1
    return tuple(
        Breakage(version=version, phase=phase, code=code, message=message, count=count)
        for (version, phase, code, message), count in found.most_common()
    )
