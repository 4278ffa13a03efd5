"""The names of the faults, and how they are asked for: `flaps, adds-latency=0.2`."""

from collections.abc import Mapping
from enum import StrEnum

from sample_app import log


class Fault(StrEnum):
    """`never-ready` and `checks-schema` are read in readiness.py."""

    NEVER_READY = "never-ready"
    SLOW_START = "slow-start"
    CRASHES_ON_START = "crashes-on-start"
    DIES_AFTER_READY = "dies-after-ready"
    FLAPS = "flaps"
    ANSWERS_ERRORS = "answers-errors"
    ALWAYS_ERRORS = "always-errors"
    ERROR_RATIO = "error-ratio"
    ADDS_LATENCY = "adds-latency"
    LEAKS_MEMORY = "leaks-memory"
    IGNORES_SIGTERM = "ignores-sigterm"
    EXITS_AT_ONCE = "exits-at-once"
    CLOSES_KEEPALIVE = "closes-keepalive"
    HANGS = "hangs"
    STALLS = "stalls"
    LOSES_WRITES = "loses-writes"
    WRITES_TWICE = "writes-twice"
    CHECKS_SCHEMA = "checks-schema"


FIGURES: Mapping[Fault, float] = {
    Fault.SLOW_START: 8.0,  # seconds before it listens
    Fault.DIES_AFTER_READY: 2.0,  # seconds from the first time that it said it is ready
    Fault.FLAPS: 0.3,  # seconds ready, then as many not ready
    Fault.ANSWERS_ERRORS: 3,  # one request of so many
    Fault.ERROR_RATIO: 0.05,  # the share of requests, by a seeded draw
    Fault.ADDS_LATENCY: 0.05,  # seconds
    Fault.LEAKS_MEMORY: 64,  # MiB a second, from 2 s after it said that it is ready
    Fault.CLOSES_KEEPALIVE: 0.03,  # seconds that a connection may be idle
    Fault.HANGS: 2.0,  # seconds from the first time that it said it is ready
    Fault.STALLS: 2.0,  # seconds, again and again
}
"""What a fault's figure is unless it is given. A fault that is not here has none."""

Chosen = Mapping[Fault, float]
"""The faults asked for, each with its figure (0 where it has none)."""


class FaultError(ValueError):
    """The words ask for no fault; the message says which they may be."""


def read(text: str) -> Chosen:
    """`name` or `name=figure`, with commas between."""
    words = (word.strip() for word in text.split(","))
    return dict(_one(word) for word in words if word)


def _one(word: str) -> tuple[Fault, float]:
    name, equals, figure = word.partition("=")
    if name not in set(Fault):
        raise FaultError(f"APP_FAULTS is {name!r}; it may be {', '.join(Fault)}")
    fault = Fault(name)
    if not equals:
        return fault, FIGURES.get(fault, 0)
    try:
        number = float(figure)
    except ValueError:
        number = -1
    if fault not in FIGURES or not 0 < number <= 3600:  # noqa: PLR2004  an hour: longer than any test
        may = "above 0, at most 3600" if fault in FIGURES else "left away"
        raise FaultError(f"APP_FAULTS has {word!r}; the figure of {fault} must be {may}")
    return fault, number


def fired(fault: Fault, **about: str) -> None:
    log.write("fault", fault=fault.value, **about)
