"""How often the comparison of latencies is wrong: identical versions, and slower ones, on a noisy machine.

The noise is made up, at two rates, and then that of a real run at the lab's own rate. The verdict looks once, when the
rollout is over; the gate `latency=1.1x` looks every second while its first wave waits.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from lab.feelings import Feelings
from lab.gates import Gate, Judgement, Measure, Samples, judge
from lab.load_choice import LoadSpec
from lab.operations.shape import LOOKS_NEED
from lab.proof.answers import Answer
from lab.proof.comparison import FLOOR, LEAST_PAIRS, compare
from lab.proof.result import Pace
from tests.latency_noise import FIRST_WAVE, SECOND, SERVICES, roll
from tests.latency_recorded import SERVICES as REAL_SERVICES
from tests.latency_recorded import Taken, recorded
from tests.latency_recorded import roll as roll_in

TRIALS = 60
RATES = (100, 300)
DEFAULT_RATE = int(LoadSpec().rate)
MOST_ALARMS, LEAST_FOUND = 1, 50
MORE = 600
"""Sixty are few: these show how far chance goes."""
FACTORS = (1.0, 1.1, 1.25, 1.5, 2.0)
GATE = Gate(measure=Measure.LATENCY, limit=FLOOR, minimum=LOOKS_NEED * LEAST_PAIRS)
WAVE_SECONDS = 14
REVISIONS = {f"app-{slot}.{generation}": generation for slot in (1, 2, 3) for generation in (1, 2)}


def main() -> int:
    print(f"{TRIALS} rolls of three replicas each, 4 s with both versions; found slower, of {TRIALS}:")
    kept = _table("req/s", {str(rate): partial(_found, rate) for rate in RATES})
    run = recorded()
    print(f"{TRIALS} rolls in {len(run)} answers of a real run at {DEFAULT_RATE} req/s, 13 s with both versions:")
    kept &= _table("recorded", {str(DEFAULT_RATE): partial(_found_in, run)})
    others = {factor: _found_in(run, factor, range(TRIALS, TRIALS + MORE)) for factor in (1.0, 1.5)}
    print(f"and of {MORE} other stretches of it: {others[1.0]} at x1, {others[1.5]} at x1.5", flush=True)
    print(f"{TRIALS} first waves, {WAVE_SECONDS - 2} s with both versions, looked at every second; stopped by {GATE}:")
    kept &= _table("gate", {str(rate): partial(_stopped, rate) for rate in RATES})
    promise = f"at most {MOST_ALARMS} of {TRIALS} identical ones, at least {LEAST_FOUND} of {TRIALS} slower by half"
    print(f"{'kept' if kept else 'NOT KEPT'}, in each row: {promise}")
    return 0 if kept else 1


def _table(name: str, counts: Mapping[str, Callable[[float], int]]) -> bool:
    kept = True
    print(f"{name:>8} " + "".join(f"{'x' + format(factor, 'g'):>8}" for factor in FACTORS))
    for row, count in counts.items():
        found = {factor: count(factor) for factor in FACTORS}
        print(f"{row:>8} " + "".join(f"{found[factor]:8}" for factor in FACTORS), flush=True)
        kept &= found[1.0] <= MOST_ALARMS and found[1.5] >= LEAST_FOUND
    return kept


def _found(rate: int, factor: float) -> int:
    outcomes = Counter(
        compare(roll(1000 * rate + trial, slower=factor, rate=rate), SERVICES, "v1", "v2").outcome
        for trial in range(TRIALS)
    )
    return outcomes[Pace.WORSE]


def _found_in(run: Sequence[Taken], factor: float, trials: range = range(TRIALS)) -> int:
    outcomes = Counter(
        compare(roll_in(trial, run, slower=factor), REAL_SERVICES, "v1", "v2").outcome for trial in trials
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
