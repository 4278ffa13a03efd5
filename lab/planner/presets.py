"""PURE: how others decide, with their documented defaults and their rounding.

A preset is a strategy and its budgets for a size of fleet; `tolerates` says how many slots may fail, where its original
says so. Room for more: a preset is one function from N.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.errors import UsageError
from lab.model import Strategy
from lab.planner.budgets import Amount, budgets_of

_QUARTER = Amount(number=25, percent=True)
_CODEDEPLOY = re.compile(r"codedeploy-(\d+(?:\.\d+)?)%")
NAMES = "one-at-a-time, kubernetes, codedeploy-one, codedeploy-half, codedeploy-all, codedeploy-NN%, recreate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    strategy: Strategy
    surge: int
    unavailable: int
    tolerates: int = 0

    def failure_ratio(self, replicas: int) -> float:
        return self.tolerates / replicas


def preset(name: str, replicas: int) -> Preset:
    """UsageError for a name that is none, and for a minimum that leaves nothing to replace."""
    if name in _NAMED:
        return _NAMED[name](replicas)
    found = _CODEDEPLOY.fullmatch(name)
    if found:
        return _minimum_healthy(replicas, math.ceil(round(replicas * float(found[1]) / 100, 9)))
    raise UsageError(id="like", what=f"{name!r} is none that is known", fix=f"one of: {NAMES}")


def _minimum_healthy(replicas: int, minimum: int) -> Preset:
    """CodeDeploy: what is above the minimum of healthy hosts is replaced at a time, and as many may fail."""
    batch = replicas - minimum
    if batch < 1:
        raise UsageError(
            id="minimum-healthy",
            what=f"at least {minimum} of {replicas} healthy leaves none to replace",
            fix="a lower percentage",
        )
    return Preset(strategy=Strategy.ROLLING, surge=0, unavailable=batch, tolerates=min(batch, replicas - 1))


def _kubernetes(replicas: int) -> Preset:
    surge, unavailable = budgets_of(replicas, _QUARTER, _QUARTER)
    return Preset(strategy=Strategy.ROLLING, surge=surge, unavailable=unavailable)


def _one(_: int) -> Preset:
    """OneAtATime needs all but the last to succeed."""
    return Preset(strategy=Strategy.ROLLING, surge=0, unavailable=1)


_NAMED: Mapping[str, Callable[[int], Preset]] = {
    "one-at-a-time": lambda _: Preset(strategy=Strategy.WAVES, surge=1, unavailable=0),
    "kubernetes": _kubernetes,
    "codedeploy-one": _one,
    # HalfAtATime: up to half at a time, rounded down
    "codedeploy-half": lambda n: _minimum_healthy(n, n - max(n // 2, 1)),
    "codedeploy-all": lambda n: _minimum_healthy(n, 0),
    "recreate": lambda n: Preset(strategy=Strategy.RECREATE, surge=0, unavailable=n),
}
