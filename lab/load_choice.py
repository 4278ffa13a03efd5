"""PURE: what the load is to offer, as flags, the environment and the manifest say it. None: not said there.

One layer stands over another, word by word. What cohorts and shapes there are only the load itself knows
(docs/how-to/locustfile.md); it is asked before anything is touched.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from lab.model import LoadFrom

MOST_WORKERS = 16
STEADY = "steady"


class Arrivals(StrEnum):
    FIXED = "fixed"
    POISSON = "poisson"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadChoice:
    """`rate` is requests a second; `slow` and `request_timeout` seconds. `locustfile` is a path of this host."""

    rate: float | None = None
    slow: float | None = None
    request_timeout: float | None = None
    min_requests: int | None = None
    cohorts: str | None = None
    shape: str | None = None
    arrivals: Arrivals | None = None
    workers: int | None = None
    locustfile: str | None = None
    paths: str | None = None
    seed: int | None = None
    load_from: LoadFrom | None = None

    def over(self, lower: "LoadChoice") -> "LoadChoice":
        mine = {name: value for name, value in self._all().items() if value is not None}
        return LoadChoice(**{**lower._all(), **mine})  # noqa: SLF001  one of its own kind

    def settled(self) -> "LoadSpec":
        """With the usual for whatever nobody says."""
        return LoadSpec(**{name: value for name, value in self._all().items() if value is not None})

    def _all(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSpec:
    """What it offers. `slow` None: the load makes it of the rate. `paths`: of an app that is not the sample app."""

    rate: float = 100.0
    slow: float | None = None
    request_timeout: float = 30.0
    min_requests: int = 500
    cohorts: str = ""
    shape: str = STEADY
    arrivals: Arrivals = Arrivals.FIXED
    workers: int = 1
    locustfile: str = ""
    paths: str = ""
    seed: int = 1
    load_from: LoadFrom = LoadFrom.CONTAINER

    @property
    def is_of_the_load_s_own_words(self) -> bool:
        """Whether there is something in it that only the load can read."""
        return bool(self.cohorts or self.locustfile or self.shape != STEADY)
