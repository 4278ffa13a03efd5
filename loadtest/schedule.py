"""When each request is due, and of which kind: fixed before the first is sent, whatever the answers are."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from loadtest.shape import Shape

_SHORTEST_SLOW_SECONDS = 2.5
_LONGEST_SLOW_SECONDS = 8.0
_LARGEST_SLOW_SHARE = 0.2
_SLOW_EACH = 5
_SPREAD = 0.2


class Arrivals(StrEnum):
    FIXED = "fixed"
    POISSON = "poisson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    number: int
    place: int
    after_ns: int
    cohort: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of the rate a cohort gets, and how many requests one turn of it makes."""

    part: float
    requests: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowPlan:
    per_second: float
    seconds: float

    @property
    def in_flight(self) -> float:
        return self.per_second * self.seconds


def plan_slow(rate: float, replicas: int, *, deadline_s: float, seconds: float | None = None) -> SlowPlan:
    """Size the slow cohort so that about five of its requests are in flight on each replica at any time.

    Each takes 2 to 10 seconds, as `vary` spreads them; at most a fifth of the rate is theirs, and the rest comes from
    making each one longer. The length is capped well below the deadline and the usual drain timeout: a request that
    cannot be in time would be the load's doing. Of those that take `seconds`, there are as many as a fifth allows.
    """
    wanted = _SLOW_EACH * replicas
    per_second = min(_LARGEST_SLOW_SHARE * rate, wanted / (seconds or _SHORTEST_SLOW_SECONDS))
    if seconds is None:
        seconds = slow_seconds(wanted / per_second, deadline_s=deadline_s)
    return SlowPlan(per_second=per_second, seconds=seconds)


def slow_seconds(wanted: float, *, deadline_s: float) -> float:
    return min(max(wanted, _SHORTEST_SLOW_SECONDS), _LONGEST_SLOW_SECONDS, deadline_s / 3)


def slots(
    cohorts: Mapping[str, Share], *, shape: Shape, seed: int, arrivals: Arrivals = Arrivals.FIXED
) -> Iterator[Slot]:
    """The endless schedule; a cohort that makes two requests in a turn takes up two places of the rate."""
    rng = random.Random(f"slots-{seed}")
    place, due = 0, 0.0
    for number, cohort in enumerate(_deal(cohorts, rng)):
        yield Slot(number=number, place=place, after_ns=int(shape.when(due) * 1e9), cohort=cohort)
        for _ in range(cohorts[cohort].requests):
            place += 1
            # in places, not in seconds: chance that follows the shape is chance at an even rate, seen through it
            due = place if arrivals is Arrivals.FIXED else due + rng.expovariate(1.0)


def _deal(cohorts: Mapping[str, Share], rng: random.Random) -> Iterator[str]:
    # The one that is furthest behind its share goes next: every cohort is spread evenly, so that what is in flight
    # stays level. The random start keeps two seeds from making the same sequence.
    credit = {name: rng.random() * share.part for name, share in cohorts.items()}
    while True:
        chosen = max(credit, key=credit.__getitem__)
        yield chosen
        spent = cohorts[chosen].requests
        for name, share in cohorts.items():
            credit[name] += spent * share.part
        credit[chosen] -= spent


def vary(seconds: float, rng: random.Random) -> float:
    """Keep slow requests from moving in lock step."""
    return round(seconds * rng.uniform(1 - _SPREAD, 1 + _SPREAD), 3)
