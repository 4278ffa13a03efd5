"""How the rate goes over time. A shape says when so many requests are due; the sum of them, not the moment's rate."""

import math
from dataclasses import dataclass
from typing import Protocol


class Shape(Protocol):
    def when(self, place: float) -> float:
        """Seconds from the start until `place` requests are due."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    rate: float

    def when(self, place: float) -> float:
        return place / self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """Evenly from one rate to another, and then on at that."""

    start: float
    end: float
    over: float

    def when(self, place: float) -> float:
        inside = (self.start + self.end) / 2 * self.over
        if place >= inside:
            return self.over + (place - inside) / self.end
        if place == 0:
            return 0.0
        growth = (self.end - self.start) / self.over
        # the root in this form loses no digits where the rate hardly changes
        return 2 * place / (self.start + math.sqrt(max(self.start**2 + 2 * growth * place, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """`rate`, and for `lasting` seconds from `at` on that many `times` as much; again every `every` seconds."""

    rate: float
    at: float
    lasting: float
    times: float
    every: float = math.inf

    def when(self, place: float) -> float:
        before = self.at * self.rate
        if place < before:
            return place / self.rate
        spike = self.lasting * self.rate * self.times
        cycle = spike + (self.every - self.lasting) * self.rate
        number = 0 if math.isinf(cycle) else math.floor((place - before) / cycle)
        began = self.at + (number * self.every if number else 0.0)
        left = place - before - (number * cycle if number else 0.0)
        if left < spike:
            return began + left / (self.rate * self.times)
        return began + self.lasting + (left - spike) / self.rate


class NoShape(ValueError):  # noqa: N818 - it is what was found
    """The text names none. The message says what was meant to be there."""


def parse_shape(text: str, rate: float) -> Shape:
    """`steady`, `ramp:from=10,to=200,over=60`, `spike:at=20,for=5,times=3,every=60`; what is left out has a default."""
    name, _, rest = text.partition(":")
    found = _numbers(rest)
    match name:
        case "steady":
            return _made(found, Steady(rate=rate))
        case "ramp":
            start, end = found.pop("from", rate / 10), found.pop("to", rate)
            over = found.pop("over", 60.0)
            _demand(start >= 0 and end > 0 and over > 0, "a ramp needs from >= 0, to > 0 and over > 0")
            return _made(found, Ramp(start=start, end=end, over=over))
        case "spike":
            at, lasting = found.pop("at", 20.0), found.pop("for", 5.0)
            times, every = found.pop("times", 3.0), found.pop("every", math.inf)
            good = at >= 0 and lasting > 0 and times > 0 and every > lasting
            _demand(good, "a spike needs at >= 0, for > 0, times > 0, and every longer than for")
            return _made(found, Spike(rate=rate, at=at, lasting=lasting, times=times, every=every))
    raise NoShape(f"{name!r} is not steady, ramp or spike")


def _numbers(text: str) -> dict[str, float]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    try:
        found = {name: float(value) for name, _, value in pairs}
    except ValueError:
        raise NoShape(f"{text!r} must read like at=20,for=5") from None
    _demand(all(math.isfinite(value) for value in found.values()), f"{text!r} has a number without an end")
    return found


def _made(left: dict[str, float], shape: Shape) -> Shape:
    _demand(not left, f"it has no {', '.join(left)}")
    return shape


def _demand(good: bool, message: str) -> None:
    if not good:
        raise NoShape(message)
