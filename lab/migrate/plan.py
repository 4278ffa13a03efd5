"""PURE: the declarative plan of a change (TOML): its phases, in order, and the versions that each serves."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A schema state. `serves` is a promise: those versions are right on it."""

    name: str
    serves: frozenset[str]
    up: Path | None
    backfill: Path | None
    verify: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    id: str
    phases: tuple[Phase, ...]

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


def read_plan(path: Path) -> ChangePlan:
    """Read a plan file. LabError `schema-plan` says what is wrong with it."""
    try:
        document = tomllib.loads(path.read_text())
        phases = tuple(
            Phase(
                name=phase["name"],
                serves=frozenset(phase["serves"]),
                up=_file(path, phase, "up"),
                backfill=_file(path, phase, "backfill"),
                verify=_file(path, phase, "verify"),
            )
            for phase in document["phase"]
        )
        return ChangePlan(id=document["change"]["id"], phases=phases)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise LabError(
            id="schema-plan", what=f"the schema plan cannot be used: {error}", where=str(path), fix="mend the file"
        ) from error


def _file(plan: Path, phase: dict[str, str], key: str) -> Path | None:
    return plan.parent / phase[key] if key in phase else None
