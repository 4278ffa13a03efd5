"""PURE: how a rollout is to go, as it is written: in flags, in the environment, in the manifest. None: not said there.

One layer stands over another: what it says counts, and for the rest the lower one is asked.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import Any

from lab.gates import Measure, limit_of, share_of
from lab.model import OnFail, Order

__all__ = ["WAYS", "Shape", "gate_of", "share_of", "stands_beside"]
WAYS = (frozenset({"like"}), frozenset({"max_surge", "max_unavailable"}), frozenset({"order", "batch"}))
"""Three ways to say one thing: the budgets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Amounts, gates and shares are text here; durations are seconds. `gates` (): none, whatever a lower layer says."""

    order: Order | None = None
    batch: str | None = None
    max_surge: str | None = None
    max_unavailable: str | None = None
    like: str | None = None
    on_fail: OnFail | None = None
    ready_timeout: float | None = None
    drain_timeout: float | None = None
    progress_timeout: float | None = None
    hold_timeout: float | None = None
    bake: float | None = None
    wave_bake: float | None = None
    retries: int | None = None
    max_failure_ratio: str | None = None
    gates: tuple[str, ...] | None = None
    gate_samples: int | None = None

    def over(self, lower: "Shape") -> "Shape":
        mine = {name: value for name, value in self._all().items() if value is not None}
        kept = {name: value for name, value in lower._all().items() if stands_beside(name, mine.keys())}  # noqa: SLF001
        return Shape(**{**kept, **mine})

    def _all(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


def stands_beside(name: str, said: AbstractSet[str]) -> bool:
    """Whether a lower layer's `name` still counts under a layer that says `said`: budgets come from one layer's way.

    `like` says as well how many may fail.
    """
    if name == "max_failure_ratio" and "like" in said:
        return False
    ways = [way for way in WAYS if way & said]
    return not ways or any(name in way for way in ways) or not any(name in way for way in WAYS)


def gate_of(text: str) -> tuple[Measure, float]:
    """`error-ratio=5%`, `dropped=0`, `latency=1.2x`. ValueError says what is wrong."""
    name, _, limit = text.partition("=")
    if name not in set(Measure):
        *others, last = Measure
        raise ValueError(f"{text!r}: there is no such gate, only {', '.join(others)} and {last}")
    return Measure(name), limit_of(Measure(name), limit)
