"""What a simulated fleet was like: how many ran and served, and who answered how much. Kept by differences."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from lab.gates import Felt
from lab.model import Replica
from lab.proof.comparison import LEAST_IN_ARM
from lab.proof.result import Change

EQUAL = Change(percent=50, pairs=0, width_s=0.5, ratio=1.0, low=1.0, high=1.0, old_ms=1.0, new_ms=1.0, more_ms=0.0)


class HasErrors(Protocol):
    @property
    def errors(self) -> float: ...


@dataclass(slots=True, kw_only=True)
class Meter:
    """`rate`: requests a second, shared evenly by the replicas that serve. They wait while nobody serves."""

    rate: float = 100.0
    running: int = 0
    serving: int = 0
    peak: int = 0
    lowest: int = 0
    waited: float = 0.0
    by_revision: dict[int, int] = field(default_factory=dict)
    answered: dict[int, float] = field(default_factory=dict)
    failed: dict[int, float] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)
    at_ns: int = 0

    def restart(self, now_ns: int) -> None:
        """Count from now on."""
        self.run_to(now_ns)
        self.peak, self.lowest, self.waited = self.running, self.serving, 0.0
        self.answered.clear()
        self.failed.clear()

    def counted(self, revision: int) -> tuple[int, int]:
        return int(self.answered.get(revision, 0)), int(self.failed.get(revision, 0))

    def felt(self, revision: int) -> Felt:
        """A simulation has no latencies: its versions are equally fast, in every instant in which this one answered."""
        pairs = int(self.answered.get(revision, 0) / LEAST_IN_ARM[EQUAL.percent])
        changes = (replace(EQUAL, pairs=pairs),) if pairs else ()
        ended, dropped = int(sum(self.answered.values())), int(sum(self.failed.values()))
        return Felt(ended=ended, dropped=dropped, changes=changes)

    def run_to(self, now_ns: int) -> None:
        offered = self.rate * (now_ns - self.at_ns) / 1e9
        self.at_ns = now_ns
        if not self.serving:
            self.waited += offered
            return
        for revision, many in self.by_revision.items():
            share = offered * many / self.serving
            self.answered[revision] = self.answered.get(revision, 0.0) + share
            self.failed[revision] = self.failed.get(revision, 0.0) + share * self.errors.get(revision, 0.0)

    def change(
        self, before: Replica | None, now: Replica | None, now_ns: int, behaviours: Mapping[str, HasErrors]
    ) -> None:
        self.running += _runs(now) - _runs(before)
        self.peak = max(self.peak, self.running)
        r = now or before
        by = _serves(now) - _serves(before)
        if by == 0 or r is None:
            return
        self.run_to(now_ns)
        self.serving += by
        self.by_revision[r.revision] = self.by_revision.get(r.revision, 0) + by
        behaviour = behaviours.get(r.version)
        self.errors[r.revision] = behaviour.errors if behaviour else 0.0
        self.lowest = min(self.lowest, self.serving)


def _runs(r: Replica | None) -> int:
    return int(r is not None and r.alive)


def _serves(r: Replica | None) -> int:
    return int(r is not None and r.available)
