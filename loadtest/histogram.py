"""Durations, kept as counts: some thousand numbers however long the load runs, each true to less than 1 %."""

from collections.abc import Iterable, Mapping

_PARTS = 7  # bits: 128 buckets for each doubling


class Histogram:
    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def add(self, value: int) -> None:
        bucket = _bucket(max(value, 0))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, other: "Histogram") -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def percentile_ms(self, quantile: float) -> float | None:
        """Of nanoseconds. None if there are none."""
        wanted = int(quantile * sum(self.counts.values()))
        for bucket in sorted(self.counts):
            wanted -= self.counts[bucket]
            if wanted < 0:
                return round(_middle(bucket) / 1e6, 3)
        return None


def merged(parts: Iterable[Histogram]) -> Histogram:
    whole = Histogram()
    for part in parts:
        whole.merge(part)
    return whole


def _bucket(value: int) -> int:
    shift = max(value.bit_length() - _PARTS - 1, 0)
    return (shift << _PARTS) + (value >> shift)


def _middle(bucket: int) -> float:
    shift = max((bucket >> _PARTS) - 1, 0)
    low = bucket - (shift << _PARTS)
    return (low + 0.5 * (shift > 0)) * (1 << shift)
