"""Latencies as a real run had them: recorded from three replicas of one version, and rolled again and again on paper.

`python -m tests.latency_recorded RUN_FOLDER` writes those of a `lab load run` of one's own to the file.
"""

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.operations.evidence import read_ledgers
from lab.proof.answers import Answer
from lab.proof.records import ClientOutcome, Service
from lab.proof.verdict import SLOW_ON_PURPOSE
from tests.latency_noise import SECOND

FILE = Path(__file__).with_name("latency_recorded.txt")
ADMITTED_S = (2.0, 9.4, 14.8)
"""As in the roll with nothing but defaults that was made on the same machine a minute later."""
SERVICES = tuple(Service(replica=f"app-{slot}.2", from_ns=int(at * SECOND)) for slot, at in enumerate(ADMITTED_S, 1))
LENGTH_NS = 16 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One answer of the run, its due time counted from the first one's."""

    due_ns: int
    took_ns: int
    slot: int


def recorded(path: Path = FILE) -> list[Taken]:
    """Each line: milliseconds since the request before was due, microseconds to its whole answer, and its slot."""
    found, due = [], 0
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            gap, took, slot = map(int, line.split())
            due += gap
            found.append(Taken(due_ns=due * 1_000_000, took_ns=took * 1000, slot=slot))
    return found


def roll(seed: int, run: Sequence[Taken], *, slower: float = 1.0) -> list[Answer]:
    """A stretch of the run by chance, its replicas taken for slots by chance; `slower` multiplies the new version's."""
    chance = random.Random(seed)
    since = chance.randint(0, run[-1].due_ns - LENGTH_NS)
    slots = chance.sample((1, 2, 3), 3)
    answers = []
    for one in run:
        due, slot = one.due_ns - since, slots[one.slot - 1]
        if 0 <= due < LENGTH_NS:
            new = due >= SERVICES[slot - 1].from_ns
            took = int(one.took_ns * slower) if new else one.took_ns
            answers.append(Answer(due_ns=due, took_ns=took, replica=f"app-{slot}.{2 if new else 1}"))
    return answers


def record(folder: Path) -> str:
    """Of the run in that folder what `recorded` reads."""
    client, _, _ = read_ledgers(folder, apps=False)
    good = sorted(
        (offer.due, end.t - offer.due, int(end.replica.partition(".")[0].rpartition("-")[2]))
        for _, offer, end in client.requests.told()
        if end is not None
        and end.outcome is ClientOutcome.OK
        and end.replica is not None
        and offer.cohort not in SLOW_ON_PURPOSE
    )
    lines, first, before = [], good[0][0], 0
    for due, took, slot in good:
        at = (due - first) // 1_000_000
        lines.append(f"{at - before} {took // 1000} {slot}")
        before = at
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    told = "# milliseconds since the one before, microseconds it took, slot; by python -m tests.latency_recorded\n"
    FILE.write_text(told + record(Path(sys.argv[1])))
