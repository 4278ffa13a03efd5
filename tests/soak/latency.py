"""How often the comparison of latencies is wrong: identical versions, and slower ones, on a noisy machine."""

import sys
from collections import Counter

from lab.proof.comparison import compare
from lab.proof.result import Pace
from tests.latency_noise import SERVICES, roll

TRIALS = 60
RATES = (100, 300)
FACTORS = (1.0, 1.1, 1.25, 1.5, 2.0)


def main() -> int:
    kept = True
    print(f"{TRIALS} rolls of three replicas each, 4 s with both versions; found slower, of {TRIALS}:")
    print("   req/s " + "".join(f"{'x' + format(factor, 'g'):>8}" for factor in FACTORS))
    for rate in RATES:
        found = {factor: _found(rate, factor) for factor in FACTORS}
        print(f"{rate:8} " + "".join(f"{found[factor]:8}" for factor in FACTORS))
        kept &= found[1.0] <= 1 and (rate < max(RATES) or found[1.5] >= 50)
    print("kept: at most 1 of 60 identical ones, at least 50 of 60 slower by half" if kept else "NOT KEPT")
    return 0 if kept else 1


def _found(rate: int, factor: float) -> int:
    outcomes = Counter(
        compare(roll(1000 * rate + trial, slower=factor, rate=rate), SERVICES, "v1", "v2").outcome
        for trial in range(TRIALS)
    )
    return outcomes[Pace.WORSE]


if __name__ == "__main__":
    sys.exit(main())
