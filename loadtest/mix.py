"""Which cohorts there are, and what each of them gets of the rate."""

from collections.abc import Mapping

from loadtest.cohorts import Cohort
from loadtest.schedule import Share, SlowPlan


class NoMix(ValueError):  # noqa: N818 - it is what was found
    """These weights cannot be meant. The message says why."""


def parse_weights(text: str) -> dict[str, float]:
    """`read=3,slow=1`: weights in requests."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            weights[name.strip()] = float(value)
        except ValueError:
            raise NoMix(f"{part!r} must read like read=3") from None
    if not all(0 <= weight < float("inf") for weight in weights.values()) or not any(weights.values()):
        raise NoMix(f"{text!r}: weights must be 0 or more, and one of them above 0")
    return weights


def mixed(cohorts: Mapping[str, Cohort], wanted: Mapping[str, float], slow: SlowPlan, rate: float) -> dict[str, Share]:
    """Give each its part. With no weights wanted: the slow cohort what it needs, and the others the rest by theirs."""
    if wanted:
        return _by_weight(cohorts, wanted)
    slow_part = min(slow.per_second / rate, 1.0)
    sized = {name: slow_part for name, found in cohorts.items() if found.slow}
    ordinary = {name: found.weight for name, found in cohorts.items() if not found.slow and found.weight > 0}
    if len(sized) > 1 or not (sized or ordinary):
        raise NoMix(f"of the cohorts {', '.join(cohorts) or '(none)'} one at most is slow, and one needs a weight")
    left, total = 1 - sum(sized.values()), sum(ordinary.values())
    parts = {name: left * weight / total for name, weight in ordinary.items()} | sized
    return {name: Share(part=part, requests=cohorts[name].requests) for name, part in parts.items()}


def _by_weight(cohorts: Mapping[str, Cohort], wanted: Mapping[str, float]) -> dict[str, Share]:
    unknown = [name for name in wanted if name not in cohorts]
    if unknown:
        raise NoMix(f"there is no cohort {', '.join(unknown)}; there are {', '.join(cohorts)}")
    total = sum(wanted.values())
    return {
        name: Share(part=weight / total, requests=cohorts[name].requests)
        for name, weight in wanted.items()
        if weight > 0
    }
