"""Failures that say which version does not work with which schema phase, and by which statement."""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.proof.advice import advice, promised
from lab.proof.classes import schema_error
from lab.proof.drops import Fleet, version_of
from lab.proof.join import Joined
from lab.proof.records import RunFacts
from lab.proof.result import Breakage
from lab.proof.steps import phase_at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    version: str
    phase: str
    code: str
    message: str
    statement: str


def breakages(facts: RunFacts, fleet: Fleet, failed: Iterable[Joined]) -> tuple[Breakage, ...]:
    """The most frequent first."""
    found: dict[_Key, list[tuple[int, str]]] = {}
    for joined in failed:
        error = schema_error(joined)
        if error is not None and joined.end is not None:
            key = _Key(
                version=version_of(joined, fleet) or "unknown",
                phase=phase_at(facts, joined.end.t),
                code=error.code,
                message=error.message.partition("\n")[0].strip(),
                statement=error.statement,
            )
            found.setdefault(key, []).append((joined.end.t, joined.id))
    told = sorted(found.items(), key=lambda item: -len(item[1]))
    return tuple(_breakage(facts, key, sorted(met)) for key, met in told)


def _breakage(facts: RunFacts, key: _Key, met: list[tuple[int, str]]) -> Breakage:
    return Breakage(
        version=key.version,
        phase=key.phase,
        code=key.code,
        message=key.message,
        count=len(met),
        statement=key.statement,
        since_s=facts.seconds(met[0][0]),
        until_s=facts.seconds(met[-1][0]),
        example=met[0][1],
        promised=promised(facts, [key.version], key.phase),
        fix=advice(facts, [key.version], key.phase),
    )
