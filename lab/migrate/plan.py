"""PURE: the plan of a change: its phases, in order, the versions that each serves, and how each is reached."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import UsageError
from lab.migrate.sync import Sync

NOTHING = "none"
"""The phase of a database that has not reached the plan's first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A step that another tool takes. It runs in `folder`, and is told by its environment where the database is."""

    argv: tuple[str, ...]
    folder: Path
    seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A backfill told by its columns: `set` where `where`, in batches by `key`."""

    table: str
    key: str
    set: Mapping[str, str]
    where: str
    key_type: str = "bigint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Rows filled in batches. `batch`: at most so many at once; `delay`: seconds between two batches."""

    source: "Path | Fill | Sync"
    remaining: str | None = None
    """A query that counts what is left, for the progress."""
    batch: int = 500
    delay: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A schema state. `serves` is a promise: those versions are right on it.

    `lost`: a query of what going down from here would lose; each of its columns must be 0.
    """

    name: str
    serves: frozenset[str]
    up: Path | Command | None
    backfill: Backfill | None
    verify: Path | Sync | None
    down: Path | Command | None = None
    lost: Path | None = None
    min_app: str | None = None
    soak: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """`versions`: all that the plan speaks of, the oldest first. `syncs`: the triggers that its SQL names."""

    id: str
    phases: tuple[Phase, ...]
    file: Path = Path("plan.toml")
    tables: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    syncs: Mapping[str, Sync] = field(default_factory=dict)

    def index(self, name: str) -> int:
        for i, phase in enumerate(self.phases):
            if phase.name == name:
                return i
        known = ", ".join(phase.name for phase in self.phases)
        raise UsageError(id="unknown-phase", what=f"there is no schema phase {name!r}", fix=f"use one of: {known}")

    def phase(self, name: str) -> Phase:
        return self.phases[self.index(name)]

    def serves(self, phase: str, version: str) -> bool:
        return version in self.phase(phase).serves

    def next_of(self, phase: str) -> Phase | None:
        """The phase after it; the first one of a database that has none."""
        following = 0 if phase == NOTHING else self.index(phase) + 1
        return self.phases[following] if following < len(self.phases) else None

    def gone_at(self, phase: str) -> frozenset[str]:
        """The versions that an earlier phase served and this one does not: they can never run again."""
        if phase == NOTHING:
            return frozenset()
        here = self.index(phase)
        served = {version for earlier in self.phases[:here] for version in earlier.serves}
        least = self.phases[here].min_app
        older = self.versions[: self.versions.index(least)] if least in self.versions else ()
        return frozenset((served | set(older)) - self.phases[here].serves)

    def lost_by(self, source: str, goal: str) -> frozenset[str]:
        """The versions that are right on the one phase and not on the other: none of them may run during the step."""
        before = frozenset() if source == NOTHING else self.phase(source).serves
        return (before | self.gone_at(goal)) - self.phase(goal).serves

    def contracts(self, phase: Phase) -> bool:
        return bool(self.gone_at(phase.name))

    def command_to(self, phase: str) -> str:
        """The command whose step leads to it."""
        step = self.phase(phase)
        return "contract" if self.contracts(step) else "backfill" if step.backfill else "expand"

    def goal_of(self, command: str) -> Phase:
        """How far `expand` and `backfill` go: to the last phase of their kind before anything is taken away."""
        gentle = [phase for phase in self.phases if not self.contracts(phase)]
        if command == "expand":
            first = next((i for i, phase in enumerate(gentle) if phase.backfill), len(gentle))
            gentle = gentle[: max(first, 1)]
        return gentle[-1]

    def way_to_serve(self, phase: str, versions: set[str]) -> tuple[Phase, ...] | None:
        """The steps upwards to the first phase that serves all of them and contracts nothing; None if there is none.

        A phase that stops serving a version that an earlier one served is a contraction: never a step of a rollout.
        """
        start = self.index(phase)
        if versions <= self.phases[start].serves:
            return ()
        served = self.phases[start].serves
        steps: list[Phase] = []
        for step in self.phases[start + 1 :]:
            if not served <= step.serves:
                return None
            steps.append(step)
            served = step.serves
            if versions <= served:
                return tuple(steps)
        return None
