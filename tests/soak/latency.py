"""How often the comparison of latencies is wrong: identical versions, and slower ones, on a noisy machine.

The verdict looks once, when the rollout is over; the gate `latency=1.1x` looks every second while its first wave waits.
"""

import sys
from collections import Counter
from collections.abc import Callable

from lab.feelings import Feelings
from lab.gates import Gate, Judgement, Measure, Samples, judge
from lab.operations.shape import LOOKS_NEED
from lab.proof.answers import Answer
from lab.proof.comparison import FLOOR, LEAST_PAIRS, compare
from lab.proof.result import Pace
from tests.latency_noise import FIRST_WAVE, SECOND, SERVICES, roll

TRIALS = 60
RATES = (100, 300)
FACTORS = (1.0, 1.1, 1.25, 1.5, 2.0)
GATE = Gate(measure=Measure.LATENCY, limit=FLOOR, minimum=LOOKS_NEED * LEAST_PAIRS)
WAVE_SECONDS = 14
REVISIONS = {f"app-{slot}.{generation}": generation for slot in (1, 2, 3) for generation in (1, 2)}


def main() -> int:
    print(f"{TRIALS} rolls of three replicas each, 4 s with both versions; found slower, of {TRIALS}:")
    kept = _table("req/s", _found)
    print(f"{TRIALS} first waves, {WAVE_SECONDS - 2} s with both versions, looked at every second; stopped by {GATE}:")
    kept &= _table("gate", _stopped)
    print("kept: at most 1 of 60 identical ones, at least 50 of 60 slower by half" if kept else "NOT KEPT")
    return 0 if kept else 1


def _table(name: str, count: Callable[[int, float], int]) -> bool:
    kept = True
    print(f"{name:>8} " + "".join(f"{'x' + format(factor, 'g'):>8}" for factor in FACTORS))
    for rate in RATES:
        found = {factor: count(rate, factor) for factor in FACTORS}
        print(f"{rate:8} " + "".join(f"{found[factor]:8}" for factor in FACTORS), flush=True)
        kept &= found[1.0] <= 1 and (rate < max(RATES) or found[1.5] >= 50)
    return kept


def _found(rate: int, factor: float) -> int:
    outcomes = Counter(
        compare(roll(1000 * rate + trial, slower=factor, rate=rate), SERVICES, "v1", "v2").outcome
        for trial in range(TRIALS)
    )
    return outcomes[Pace.WORSE]


def _stopped(rate: int, factor: float) -> int:
    seeds = range(1000 * rate, 1000 * rate + TRIALS)
    return sum(
        _stops(roll(seed, slower=factor, rate=rate, seconds=WAVE_SECONDS, services=FIRST_WAVE)) for seed in seeds
    )


def _stops(answers: list[Answer]) -> bool:
    feed = _Feed(answers)
    feelings = Feelings(feed)
    for second in range(1, WAVE_SECONDS + 2):
        feed.now_ns = second * SECOND
        if judge(Samples(felt=feelings.felt(2, REVISIONS)), (GATE,)).judgement is Judgement.FAILED:
            return True
    return False


class _Feed:
    """Tells each answer when it has come, as the load does once a second."""

    def __init__(self, answers: list[Answer]) -> None:
        self._left = sorted(answers, key=lambda answer: answer.due_ns + answer.took_ns)
        self.tick: dict[str, int] = {}
        self.now_ns = 0

    def take_answers(self) -> list[Answer]:
        come = [answer for answer in self._left if answer.due_ns + answer.took_ns <= self.now_ns]
        self._left = self._left[len(come) :]
        return come


if __name__ == "__main__":
    sys.exit(main())
