"""The catalogue of changes: data in `changes/*.toml`, shared by the classifier, the docs and the scenarios."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Cell(StrEnum):
    """What becomes of a version on a schema that is not its own, or of one version's data at the other."""

    WORKS = "works"
    FAILS = "fails"
    SILENT = "silent"
    STALLS = "stalls"
    NEVER = "never"


class Symptom(StrEnum):
    """What is wrong with an answer; all but the first come without an error."""

    ERROR = "ERROR"
    NULL = "NULL"
    STALE = "STALE"
    LOST = "LOST"
    STRIPPED = "STRIPPED"
    DUP = "DUP"
    MISS = "MISS"
    SHAPE = "SHAPE"
    WRONG = "WRONG"
    STALL = "STALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Of the change in one step, as people first write it. `new_to_old`: the old version reads what the new wrote."""

    old_on_new: Cell
    new_on_old: Cell
    new_to_old: Cell
    old_to_new: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One kind of change: what it breaks, how that is recognised, and the way that breaks nothing.

    `sqlstates`: code -> what it means here. `steps`: words of `lab.compat.ddl` of which one makes the change.
    `statuses` and `methods`: HTTP answers that tell it, and to which requests.
    """

    id: str
    number: int
    title: str
    cells: Cells
    sqlstates: Mapping[str, str]
    steps: tuple[str, ...]
    symptoms: frozenset[Symptom]
    statuses: frozenset[int]
    methods: frozenset[str]
    client: str
    locks: str
    fix: str
    safe: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    changes: tuple[Change, ...]

    def change(self, id: str) -> Change:
        return next(change for change in self.changes if change.id == id)


@cache
def catalogue() -> Catalogue:
    folder = files("lab.compat") / "changes"
    texts = [file.read_text() for file in sorted(folder.iterdir(), key=lambda file: file.name)]
    return Catalogue(changes=tuple(change for text in texts for change in read_changes(text)))


def read_changes(text: str) -> tuple[Change, ...]:
    """Read one file of the catalogue. A key that is missing or not known is a KeyError or a TypeError."""
    return tuple(_change(row) for row in tomllib.loads(text)["change"])


def _change(row: dict[str, Any]) -> Change:
    cells = Cells(**{name: Cell(word) for name, word in row.pop("cells").items()})
    words = {name: tuple(row.pop(name)) for name in ("steps", "safe")}
    return Change(
        cells=cells,
        symptoms=frozenset(map(Symptom, row.pop("symptoms"))),
        statuses=frozenset(row.pop("statuses", ())),
        methods=frozenset(row.pop("methods", ())),
        steps=words["steps"],
        safe=words["safe"],
        **row,
    )
