"""PURE: a SQL file as the transactions that it is taken in.

One statement is one transaction. `-- lab:tx` .. `-- lab:end` makes one of several, `-- lab:sync create NAME` (or
`drop`) stands for the statements of a sync trigger. What cannot run in a transaction runs outside of any.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lab.errors import LabError
from lab.migrate.sync import Sync

READS, WRITES = frozenset({"AccessExclusiveLock"}), frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock"})
"""The locks of a table behind which reads wait, and writes as well; and those behind which only writes wait."""


class Locks(StrEnum):
    """How a statement waits for its locks."""

    BRIEF = "brief"
    """It makes others wait behind it: it gives way soon, and tries again."""
    PATIENT = "patient"
    """Others go on while it waits: it waits long, because each try costs a whole build."""
    ROWS = "rows"
    """It waits for rows that others write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    text: str
    line: int

    @property
    def head(self) -> str:
        return " ".join(self.text.split())[:72]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is done or not done as a whole."""

    statements: tuple[Statement, ...]
    file: str

    @property
    def outside(self) -> bool:
        """It cannot run in a transaction: what a kill leaves of it has to be looked at."""
        return bool(_OUTSIDE.match(self.statements[0].text))

    @property
    def locks(self) -> Locks:
        patient = all(_OUTSIDE.match(s.text) or _VALIDATES.search(s.text) for s in self.statements)
        return Locks.PATIENT if patient else Locks.BRIEF

    @property
    def told(self) -> str:
        more = f" (+ {len(self.statements) - 1})" if len(self.statements) > 1 else ""
        return f"{self.file}:{self.statements[0].line} {self.statements[0].head}{more}"


_OUTSIDE = re.compile(
    r"(create\s+(unique\s+)?index\s+concurrently|drop\s+index\s+concurrently|reindex\b.*\bconcurrently|vacuum\b"
    r"|alter\s+table\b.*\bdetach\s+partition\b.*\bconcurrently|alter\s+system\b|(create|drop)\s+(database|tablespace)\b)",
    re.IGNORECASE | re.DOTALL,
)
_VALIDATES = re.compile(
    r"^\s*alter\s+table\s+\S+\s+validate\s+constraint\s+\S+\s*$|^\s*analyze\b|^\s*refresh\s+materialized\s+view\s+concurrently\b",
    re.IGNORECASE,
)
_CONTROL = re.compile(
    r"(begin|commit|rollback|end|abort|start\s+transaction|savepoint|release|prepare\s+transaction)\b", re.IGNORECASE
)
_ATOMIC = re.compile(r"\bbegin\s+atomic\b", re.IGNORECASE)
_TOKEN = re.compile(
    r"""(?P<marker>--[ \t]*lab:(?P<word>\w+)[ \t]*(?P<rest>[^\n]*)) | (?P<comment>--[^\n]*) | (?P<block>/\*)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$) | (?P<end>;) | (?P<space>\s+) | (?P<open>['"]) | (?P<other>\w[\w$]*|.)""",
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class _Mark:
    word: str
    rest: str
    line: int


def units_of(text: str, *, file: str, syncs: Mapping[str, Sync]) -> tuple[Unit, ...]:
    """LabError `schema-sql` names the file and the line of what cannot be taken."""
    units: list[Unit] = []
    block: list[Statement] | None = None
    for part in _parts(text, file):
        if isinstance(part, _Mark) and part.word == "tx" and block is None:
            block = []
            continue
        if isinstance(part, _Mark) and part.word == "end" and block is not None:
            units += [Unit(statements=tuple(block), file=file)] if block else []
            block = None
            continue
        made = _synced(part, syncs, file) if isinstance(part, _Mark) else [_allowed(part, file)]
        if block is None:
            units += [Unit(statements=(statement,), file=file) for statement in made]
            continue
        if outside := next((s for s in made if _OUTSIDE.match(s.text)), None):
            raise _wrong(file, outside.line, f"`{outside.head}` cannot run in a transaction", "take it out of lab:tx")
        block += made
    if block is not None:
        raise _wrong(file, text.count("\n") + 1, "a lab:tx has no end", "add `-- lab:end`")
    return tuple(units)


def _allowed(statement: Statement, file: str) -> Statement:
    if _CONTROL.match(statement.text):
        fix = "mark a transaction with `-- lab:tx` and `-- lab:end`; begin and commit are the runner's"
        raise _wrong(file, statement.line, f"`{statement.head}` is the runner's business", fix)
    if _ATOMIC.search(statement.text) and not re.search(r"\$\w*\$|'", statement.text):
        raise _wrong(file, statement.line, "a body of BEGIN ATOMIC is not understood", "write the body in $$ .. $$")
    return statement


def _synced(mark: _Mark, syncs: Mapping[str, Sync], file: str) -> list[Statement]:
    verb, _, name = mark.rest.strip().partition(" ")
    if mark.word != "sync" or verb not in {"create", "drop"}:
        known = "lab:tx, lab:end, lab:sync create NAME, lab:sync drop NAME"
        raise _wrong(file, mark.line, f"lab:{mark.word} {mark.rest.strip()} means nothing here", f"one of: {known}")
    if name.strip() not in syncs:
        known = ", ".join(sorted(syncs)) or "none"
        raise _wrong(file, mark.line, f"the plan has no sync {name.strip()!r}", f"it has: {known}")
    sync = syncs[name.strip()]
    texts = sync.create() if verb == "create" else sync.drop()
    return [Statement(text=text, line=mark.line) for text in texts]


def _parts(text: str, file: str) -> Iterator[Statement | _Mark]:
    at, last = 0, 0
    start: int | None = None
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:  # the last alternative takes anything
            raise AssertionError(text[at : at + 20])
        end, kind = _end_of(text, token, file), token.lastgroup
        line = text.count("\n", 0, at) + 1
        if token["marker"] and start is not None:
            raise _wrong(file, line, f"lab:{token['word']} stands in the middle of a statement", "end it with ;")
        if token["marker"]:
            yield _Mark(token["word"], token["rest"], line)
        elif kind == "end":
            if start is not None:
                yield Statement(text=text[start:last], line=text.count("\n", 0, start) + 1)
            start = None
        elif kind not in {"comment", "block", "space"}:
            start = at if start is None else start
            last = end
        at = end
    if start is not None:
        yield Statement(text=text[start:last], line=text.count("\n", 0, start) + 1)


def _end_of(text: str, token: "re.Match[str]", file: str) -> int:
    line = text.count("\n", 0, token.start()) + 1
    if token["open"]:
        raise _wrong(file, line, f"a {token['open']} is not closed", "close it")
    if token["dollar"]:
        close = text.find(token["dollar"], token.end())
        if close < 0:
            raise _wrong(file, line, f"{token['dollar']} is not closed", "close it")
        return close + len(token["dollar"])
    if not token["block"]:
        return token.end()
    depth, at = 1, token.end()
    while depth:
        edge = _BLOCK.search(text, at)
        if edge is None:
            raise _wrong(file, line, "/* is not closed", "close it")
        depth, at = depth + (1 if edge[0] == "/*" else -1), edge.end()
    return at


def _wrong(file: str, line: int, what: str, fix: str) -> LabError:
    return LabError(id="schema-sql", what=f"{file}, line {line}: {what}", where=f"{file}:{line}", fix=fix)
