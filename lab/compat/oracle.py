"""PURE: what every row has to be, whoever wrote it last; and what is wrong with an answer that shows something else.

A field that is made of others follows them when they are written; when it is written itself, what they are is the other
version's business, but together they have to say the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lab.compat.catalogue import Symptom
from lab.compat.checks import Field, Resource


class _Unknown:
    """Nobody who is asked has said what it is."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    symptom: Symptom
    what: str


@dataclass(slots=True, kw_only=True)
class Row:
    """One row as the oracle knows it: each field's value, whose it was before, and who wrote last."""

    id: Any
    age: str
    values: dict[str, Any]
    writer: str
    before: dict[str, list[Any]] = field(default_factory=dict)
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)
    """(version, field) -> what it has shown rightly."""

    def copy(self) -> "Row":
        """Another that is written on its own: the same row of a copy of the database."""
        before = {name: list(values) for name, values in self.before.items()}
        return replace(self, values=dict(self.values), before=before, seen=dict(self.seen))

    def write(self, resource: Resource, version: str, given: Mapping[str, Any]) -> None:
        """Take over what that version wrote, and what follows from it."""
        for name, value in consequences(resource, self.values, given).items():
            old = self.values.get(name, UNKNOWN)
            if old is not UNKNOWN and old != value:
                self.before.setdefault(name, []).append(old)
            self.values[name] = value
        self.writer = version


def consequences(resource: Resource, values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is written, and the fields that are made of it, or that it is made of."""
    after = dict(given)
    for one in resource.fields:
        parts = one.parts
        if not parts:
            continue
        if any(part in given for part in parts) and one.name not in given:
            now = {part: given.get(part, values.get(part, UNKNOWN)) for part in parts}
            after[one.name] = UNKNOWN if UNKNOWN in now.values() else made_of(one, now)
        elif one.name in given and values.get(one.name, UNKNOWN) != given[one.name]:
            # the same text as before would have left its parts as they are
            after.update(dict.fromkeys([part for part in parts if part not in given], UNKNOWN))
    return after


def made_of(one: Field, values: Mapping[str, Any]) -> str | None:
    if any(values.get(part) is None for part in one.parts):
        return None
    return one.made_of.format(**{part: values[part] for part in one.parts}).strip()


def look(resource: Resource, row: Row, shown: Mapping[str, Any], version: str) -> tuple[Wrong, ...]:
    """What is wrong with the row as that version shows it; remembers what it has shown right."""
    found: list[Wrong] = []
    for one in resource.known(version):
        wrong = _field(row, one, shown, version)
        if wrong is not None:
            found.append(wrong)
        else:
            row.seen[version, one.name] = shown.get(one.name)
    return tuple(found)


def shape(resource: Resource, shown: object, version: str) -> tuple[Wrong, ...]:
    """What any row has to be like, whatever is in it."""
    if not isinstance(shown, Mapping):
        return (Wrong(symptom=Symptom.SHAPE, what=f"{resource.name}: no object in the answer"),)
    found: list[Wrong] = []
    for one in resource.known(version):
        if one.name not in shown:
            found.append(Wrong(symptom=Symptom.SHAPE, what=f"{one.name} is missing"))
        elif shown[one.name] is None and not one.nullable:
            found.append(Wrong(symptom=Symptom.NULL, what=f"{one.name} is null"))
    return tuple(found)


def _field(row: Row, one: Field, shown: Mapping[str, Any], version: str) -> Wrong | None:
    expected = row.values.get(one.name, UNKNOWN)
    there = shown.get(one.name)
    if there is None:
        return _absent(row, one, expected)
    if expected is UNKNOWN:
        return None
    if there == expected:
        return None
    told = f"{one.name} is {there!r}, not {expected!r}"
    if there in row.before.get(one.name, ()):
        # whoever showed the new value once, and the old one now, has lost a write
        lost = row.seen.get((version, one.name)) == expected
        return Wrong(symptom=Symptom.LOST if lost else Symptom.STALE, what=told)
    return Wrong(symptom=Symptom.LOST, what=told)


def _absent(row: Row, one: Field, expected: object) -> Wrong | None:
    if one.nullable and (expected is None or expected is UNKNOWN):
        return None
    knows = one.known_by(row.writer)
    had = any(name == one.name and it is not None for (_, name), it in row.seen.items()) or (
        expected is not UNKNOWN and expected is not None
    )
    if had and not knows:
        return Wrong(
            symptom=Symptom.STRIPPED, what=f"{one.name} is gone since {row.writer}, which does not know it, wrote"
        )
    return Wrong(symptom=Symptom.NULL, what=f"{one.name} is null" + (f", not {expected!r}" if had else ""))


def pages(expected: set[Any], listed: list[Any]) -> tuple[Wrong, ...]:
    """Of a list read page by page: every row of ours once."""
    ours = [id for id in listed if id in expected]
    found = []
    if twice := sorted({str(id) for id in ours if ours.count(id) > 1}):
        found.append(Wrong(symptom=Symptom.DUP, what=f"listed twice: {', '.join(twice)}"))
    if missing := sorted(map(str, expected - set(ours))):
        found.append(Wrong(symptom=Symptom.MISS, what=f"not listed: {', '.join(missing)}"))
    return tuple(found)
