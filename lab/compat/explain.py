"""PURE: a failure with its entry of the catalogue of changes, what mends it, and the SQL that brought it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lab.compat.catalogue import Symptom, catalogue
from lab.compat.classifier import Evidence, classify
from lab.compat.model import Failure
from lab.migrate.plan import ChangePlan
from lab.migrate.sql import Statement

_MISSING = re.compile(r"(?:\S+: )?(?P<field>[\w.]+) is missing\b|.*'(?P<required>\w+)' is a required property")
_RETYPED = re.compile(r"(?:\S+: )?(?P<field>[\w.]+)(?:: .* is not of type | is [\[{\d])")
NOT_FILLED = "rows that nobody has filled yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A statement of a phase, and where it stands."""

    file: str
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """`steps`: phase -> its SQL on the way up, with its place."""

    plan: ChangePlan
    steps: Mapping[str, tuple[Placed, ...]]

    def explained(self, failure: Failure, version: str, phase: str) -> Failure:
        """The same failure with `entry`, `fix`, and where the SQL stands that made the difference, if that is known."""
        lying = self._between(version, phase)
        method, _, rest = failure.request.partition(" ")
        status = failure.response.partition(" ")[0]
        missing, retyped = _fields(failure)
        evidence = Evidence(
            symptom=Symptom.SHAPE if retyped else failure.symptom,
            sqlstate=failure.sqlstate or None,
            message=failure.message,
            statement=failure.sql,
            steps=tuple(placed.statement.text for placed in lying),
            method=method,
            path=rest.partition(" ")[0],
            status=int(status) if status.isdecimal() else None,
            missing=missing,
            retyped=retyped,
        )
        found = classify(evidence, catalogue())
        if known := next((change for change in catalogue().changes if change.id == failure.entry), None):
            found = replace(found, change=known, fix=known.fix, facts=(f"made by: {failure.sql}",))
        entry = found.change.id if found.change else found.cause.value
        made = next((fact.removeprefix("made by: ") for fact in found.facts if fact.startswith("made by: ")), "")
        place = next((p for p in lying if made and _same(p.statement.text, made)), None)
        fix = found.fix
        if failure.symptom is Symptom.NULL and found.change is None:
            fix = f"serve {version} only on a phase whose rows are filled: after a backfill that is verified"
        return replace(
            failure,
            entry=entry,
            fix=fix,
            file=place.file if place else "",
            line=place.statement.line if place else 0,
        )

    def _between(self, version: str, phase: str) -> tuple[Placed, ...]:
        """The SQL between the phase that the version is at home on and this one, in whichever direction it lies."""
        names = [one.name for one in self.plan.phases]
        homes = [n for n, one in enumerate(self.plan.phases) if version in one.serves]
        here = self.plan.index(phase)
        if not homes:
            return ()
        if here in homes:  # promised there: whatever came since the first phase
            low, high = 0, here
        elif here > homes[-1]:
            low, high = homes[-1], here
        else:
            low, high = here, homes[0]
        return tuple(placed for name in names[low + 1 : high + 1] for placed in self.steps.get(name, ()))


def _fields(failure: Failure) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(fields that the answer lacks, fields that it has in another type), where the oracle says so."""
    if failure.symptom not in {Symptom.SHAPE, Symptom.LOST}:
        return (), ()
    missing, retyped = _MISSING.match(failure.what), _RETYPED.match(failure.what)
    lacks = (missing["field"] or missing["required"],) if missing else ()
    return lacks, (retyped["field"],) if retyped else ()


def _same(text: str, made: str) -> bool:
    return " ".join(text.split()).lower() in made.lower() or made.lower() in " ".join(text.split()).lower()
