"""`make soak-crashes`: the real command killed at point after point of a roll under traffic; one line per point.

Seeded, and resumable: a point that passed with the same code is not tried again (`.lab/soak-crashes.jsonl`). It
stops after 40 minutes; at least 12 points, and every kind of them, come first.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from random import Random

from tests.crash_at import Passed
from tests.crash_docker import CrashLab
from tests.e2e.conftest import LabCommand
from tests.soak.kept import Kept

PROJECT, SEED = "crash-soak", 1
LEAST, MOST_MINUTES = 12, 40.0


def main() -> int:
    began = time.monotonic()
    lab = LabCommand(PROJECT)
    lab("down")
    lab.up("--replicas", "3", "--schema", "backfilled")
    try:
        with tempfile.TemporaryDirectory() as folder:
            return _all(CrashLab(lab, Path(folder)), began)
    finally:
        lab("down")


def _all(crash: CrashLab, began: float) -> int:
    kept = Kept("crashes")
    crash.undisturbed("v2")  # its revision is recorded once
    points, wrong = crash.undisturbed("v1")
    print(f"soak crashes: {len(points)} points, seed {SEED}{_told(wrong)}", flush=True)
    passed, versions, failed, tried = {row["at"] for row in kept.rows()}, ["v2", "v1"], len(wrong), 0
    before = len(passed & {p.at for p in points})
    for at in in_order(points):
        if at in passed:
            continue
        if (time.monotonic() - began) / 60 > MOST_MINUTES:
            break
        started, version = time.monotonic(), versions[tried % 2]
        killed_at, wrong = crash.killed(at, version)
        tried += 1
        took = time.monotonic() - started
        wrong += [] if killed_at == at else [f"it did not come by {at}"]
        print(f"soak crashes {tried:>3} {version} killed at {killed_at}: {took:.0f} s{_told(wrong)}", flush=True)
        if wrong:
            failed += 1
            break  # what follows would begin from a fleet that is not whole
        kept.add(at=at)
    done, minutes = before + tried, (time.monotonic() - began) / 60
    summary = f"{done} of {len(points)} points, {before} of them before, {failed} failed"
    print(f"soak crashes: {summary}, {minutes:.1f} min at {kept.at}", flush=True)
    return 1 if failed or done < LEAST else 0


def in_order(points: Sequence[Passed]) -> Iterator[str]:
    """Every point once: by chance, but one of each name before the second of any."""
    chance = Random(SEED)
    names: dict[str, list[str]] = {}
    for point in points:
        names.setdefault(point.name, []).append(point.at)
    columns = [chance.sample(its, len(its)) for its in names.values()]
    chance.shuffle(columns)
    for row in zip_longest(*columns):
        yield from (at for at in row if at)


def _told(wrong: Sequence[str]) -> str:
    return f", FAILED: {'; '.join(wrong)}" if wrong else ", ok"


if __name__ == "__main__":
    sys.exit(main())
