"""Durations as people and Compose write them."""

import re

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
YEAR = 366 * 24 * 3600


def seconds(text: object) -> float:
    """Compose's durations, `1m30s` or `500ms`, in seconds. ValueError for anything else."""
    parts = _DURATION.findall(str(text))
    if not parts or "".join(number + unit for number, unit in parts) != str(text):
        raise ValueError(f"{text!r} is not a duration such as 500ms, 10s or 1m30s")
    value = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if value > YEAR:
        raise ValueError(f"{text} is longer than a year")
    return value
