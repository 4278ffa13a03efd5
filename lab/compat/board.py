"""PURE: the matrix as it fills: what each level found of each cell, and the whole as it stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lab.compat.explain import Explainer
from lab.compat.model import Api, Failure, Lint, Matrix, Result, State
from lab.compat.path import path_of
from lab.migrate.plan import ChangePlan

Key = tuple[str, str]
"""(version, phase)."""


@dataclass(slots=True, kw_only=True)
class Board:
    """`versions`: the oldest first."""

    plan: ChangePlan
    versions: Sequence[str]
    levels: tuple[int, ...]
    explainer: Explainer
    pairs: list[Result] = field(default_factory=list)
    edges: list[Result] = field(default_factory=list)
    api: tuple[Api, ...] = ()
    lint: tuple[Lint, ...] = ()
    notes: list[str] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    _failures: dict[Key, list[Failure]] = field(default_factory=dict)
    _asked: dict[Key, int] = field(default_factory=dict)
    _levels: dict[Key, set[int]] = field(default_factory=dict)

    def found(self, key: Key, level: int, failures: Iterable[Failure], asked: int) -> None:
        """What a level asked of a cell, and what of it failed."""
        told = [self.explainer.explained(failure, *key) for failure in failures]
        self._failures.setdefault(key, []).extend(told)
        self._asked[key] = self._asked.get(key, 0) + asked
        self._levels.setdefault(key, set()).add(level)

    def matrix(self, stopped: int | None = None) -> Matrix:
        cells = tuple(self._cell((version, phase.name)) for version in self.versions for phase in self.plan.phases)
        every = (*cells, *self.pairs)
        red = {(r.phase, version) for r in every if r.state is State.BROKEN for version in r.versions}
        return Matrix(
            change=self.plan.id,
            plan=str(self.plan.file),
            phases=tuple(phase.name for phase in self.plan.phases),
            versions=tuple(self.versions),
            levels=self.levels,
            cells=cells,
            pairs=tuple(self.pairs),
            edges=tuple(self.edges),
            api=self.api,
            lint=self.lint,
            path=path_of(self.plan, self.versions, red),
            notes=tuple(dict.fromkeys(self.notes)),
            stopped=stopped,
            took=tuple(self.took),
        )

    def _cell(self, key: Key) -> Result:
        version, phase = key
        return Result(
            name=f"{version} on {phase}",
            phase=phase,
            versions=(version,),
            promised=self.plan.serves(phase, version),
            asked=self._asked.get(key, 0),
            failures=tuple(self._failures.get(key, ())),
            levels=tuple(sorted(self._levels.get(key, ()))),
        )
