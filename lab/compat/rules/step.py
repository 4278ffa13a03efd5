"""PURE: what a rule looks at: the SQL of one phase, as transactions, and what the plan says of the phase."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lab.migrate.sql import Statement, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`contracts`: the phase takes a version away, and may take what only that version needed. `syncs`: triggers."""

    phase: str
    file: str
    units: tuple[Unit, ...]
    contracts: bool
    syncs: frozenset[str] = frozenset()

    def statements(self) -> Iterator[Statement]:
        for unit in self.units:
            yield from unit.statements

    def matching(self, pattern: "re.Pattern[str]") -> Iterator[tuple[Statement, "re.Match[str]"]]:
        for statement in self.statements():
            found = pattern.search(bare(statement.text))
            if found:
                yield statement, found


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    line: int
    what: str
    fix: str


Rule = Callable[[Step], Iterator[Hit]]

_QUOTED = re.compile(r"(\$\w*\$).*?\1|'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


def bare(text: str) -> str:
    """Without comments and what is quoted: bodies of functions, texts. One blank between words."""
    return " ".join(_QUOTED.sub(" '' ", text).split())


def words(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE)
