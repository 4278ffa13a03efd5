"""PURE: what the matrix found: cells, pairs, edges, the API's differences, lint; and whether a promise is broken."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from lab.compat.catalogue import Symptom
from lab.errors import Exit


class State(StrEnum):
    """What became of a promise. Only `broken` fails the gate; `unknown` is a promise that nothing was asked of."""

    KEPT = "kept"
    BROKEN = "broken"
    UNPROMISED = "unpromised"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One thing that went wrong, with all that is known of it.

    `what`: the sentence. `request` and `response`: as sent and received. `steps`: what led there, one a line.
    `entry` and `fix`: of the catalogue of changes. `file` and `line`: the SQL of the phase that brought it, if known.
    """

    level: int
    symptom: Symptom
    what: str
    request: str = ""
    response: str = ""
    sqlstate: str = ""
    message: str = ""
    sql: str = ""
    steps: tuple[str, ...] = ()
    entry: str = ""
    fix: str = ""
    file: str = ""
    line: int = 0

    @property
    def short(self) -> str:
        """What stands in a cell: the SQLSTATE where there is one."""
        return self.sqlstate or self.symptom.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Of one cell, pair or edge: `asked` checks, of which some failed. `levels`: those that looked at it."""

    name: str
    phase: str
    versions: tuple[str, ...]
    promised: bool
    asked: int = 0
    failures: tuple[Failure, ...] = ()
    levels: tuple[int, ...] = ()
    seconds: float = 0.0
    p99_ms: float | None = None

    @property
    def state(self) -> State:
        if not self.promised:
            return State.UNPROMISED
        if self.failures:
            return State.BROKEN
        return State.KEPT if self.asked else State.UNKNOWN

    @property
    def could_be_allowed(self) -> bool:
        """Not promised, looked at by real requests, and right."""
        return not self.promised and bool(self.asked) and not self.failures and any(n > 1 for n in self.levels)

    @property
    def counts(self) -> dict[str, int]:
        """Failures by what a cell shows of them, the most frequent first."""
        found: dict[str, int] = {}
        for failure in self.failures:
            found[failure.short] = found.get(failure.short, 0) + 1
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lint:
    """Something to look at in the SQL of a phase; it fails nothing by itself."""

    phase: str
    file: str
    line: int
    rule: str
    what: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiChange:
    """A difference that the clients of one version meet at the servers of another. `breaking`: they cannot bear it."""

    where: str
    what: str
    breaking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Clients of `client` at servers of `server`. `promised`: such clients are there while both are served."""

    client: str
    server: str
    promised: bool
    known: bool = True
    changes: tuple[ApiChange, ...] = ()

    @property
    def broken(self) -> tuple[ApiChange, ...]:
        return tuple(change for change in self.changes if change.breaking)

    @property
    def state(self) -> State:
        if not self.promised:
            return State.UNPROMISED
        if self.broken:
            return State.BROKEN
        return State.KEPT if self.known else State.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A state on the way: the phase and who lives in it. `back`: where one can go back to from it; "" is nowhere."""

    phase: str
    live: tuple[str, ...]
    step: str
    right: bool
    back: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The way from the first phase to the last. `gap`: why there is none. `no_return`: the first without a way back."""

    stops: tuple[Stop, ...] = ()
    gap: str = ""
    no_return: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All of it. `notes`: what was not looked at, and why. `stopped`: the level that was red, if deeper ones wait."""

    change: str
    plan: str
    phases: tuple[str, ...]
    versions: tuple[str, ...]
    levels: tuple[int, ...]
    cells: tuple[Result, ...] = ()
    pairs: tuple[Result, ...] = ()
    edges: tuple[Result, ...] = ()
    api: tuple[Api, ...] = ()
    lint: tuple[Lint, ...] = ()
    path: Path = field(default_factory=Path)
    notes: tuple[str, ...] = ()
    stopped: int | None = None
    took: tuple[float, ...] = ()

    def results(self) -> Iterator[Result]:
        yield from self.cells
        yield from self.pairs
        yield from self.edges

    def cell(self, version: str, phase: str) -> Result:
        return next(cell for cell in self.cells if cell.phase == phase and cell.versions == (version,))

    @property
    def broken(self) -> bool:
        states = [result.state for result in self.results()] + [api.state for api in self.api]
        return State.BROKEN in states or bool(self.path.gap)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Promises that nothing was asked of, though a level that looks at them was wanted."""
        if max(self.levels) == 0:
            return ()
        return tuple(result.name for result in self.results() if result.state is State.UNKNOWN)

    @property
    def exit_code(self) -> int:
        if self.broken:
            return int(Exit.NO)
        return int(Exit.NO_VERDICT if self.undecided else Exit.OK)
