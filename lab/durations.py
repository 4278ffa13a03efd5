"""Durations as people and Compose write them."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
DAY = 24 * 3600
YEAR = 366 * DAY
_DAYS = re.compile(r"(\d+)d")


def seconds(text: object) -> float:
    """Compose's durations, `1m30s` or `500ms`, in seconds. ValueError for anything else."""
    parts = _DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise ValueError(f"{text!r} is not a duration such as 500ms, 10s or 1m30s")
    value = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if value > YEAR:
        raise ValueError(f"{text} is longer than a year")
    return value


def age(text: str) -> float:
    """A duration, or whole days as people say them of what is old: `7d`. ValueError for anything else."""
    days = _DAYS.fullmatch(text)
    return int(days[1]) * float(DAY) if days else seconds(text)


def age_words(old: float) -> str:
    """So many seconds, in the largest unit that says something of them."""
    for unit, long in (("day", DAY), ("hour", 3600), ("minute", 60)):
        if old >= long:
            many = int(old // long)
            return f"{many} {unit}{'s' * (many != 1)}"
    return "less than a minute"
