"""The latencies of a run as an HDR histogram log: other tools read it, and runs can be merged without averaging.

One interval a second and version, in microseconds. The only importer of its library, which has no build for every
machine: there no such log is written.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.proof.records import ClientLedger, ClientOutcome

HIGHEST_US = 600_000_000
DIGITS = 3
HEAD = """#[Histogram log format version 1.3]
#[microseconds, the interval's maximum in milliseconds; time counts from the first request; tags are versions]
"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
"""
SECOND_NS = 1_000_000_000


def write_latency_log(path: Path, client: ClientLedger, untimed: Iterable[str]) -> bool:
    """Say whether it was written. Of good answers, from the due time; without the cohorts that are slow on purpose."""
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError:
        return False
    begin = min((offer.due for _, offer, _ in client.requests.told()), default=0)
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD)
        for (second, version), latencies in sorted(_intervals(client, frozenset(untimed), begin).items()):
            histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
            for latency in latencies:
                histogram.record_value(min(max(1, latency), HIGHEST_US))
            highest = histogram.get_max_value() / 1000
            # the library's own writer knows no tags
            file.write(f"Tag={_tag(version)},{second}.0,1.0,{highest:.3f},{histogram.encode().decode()}\n")
    return True


def _intervals(client: ClientLedger, untimed: frozenset[str], begin: int) -> Mapping[tuple[int, str], list[int]]:
    found: dict[tuple[int, str], list[int]] = {}
    for _, offer, end in client.requests.told():
        if end is None or end.outcome is not ClientOutcome.OK or offer.cohort in untimed:
            continue
        key = (offer.due - begin) // SECOND_NS, end.version or "none"
        found.setdefault(key, []).append((end.t - offer.due) // 1000)
    return found


def _tag(version: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in version)
