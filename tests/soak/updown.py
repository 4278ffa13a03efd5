"""`make soak-updown`: `lab up` and `lab down` interrupted before and after every step, by SIGKILL and by Ctrl-C.

After each the next `lab up` makes the lab whole, or the next `lab down` leaves nothing: which of the two, and which
signal, is drawn from a seed. One line per point; resumable (`.lab/soak-updown.jsonl`).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.e2e.conftest import LabCommand
from tests.interrupted import SIGNALS, Interruptions
from tests.soak.kept import Kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=40 * 60, help="begin no other point after so long")
    asked = parser.parse_args()
    began, kept = time.monotonic(), Kept("updown")
    lab = LabCommand("soak-updown")
    passed, run, failed, left = {row["name"] for row in kept.rows(seed=asked.seed)}, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        it = Interruptions(lab, Path(folder))
        for how, at, command, then in _cases(it, asked.seed):
            name = f"{command}: {how} {at}, then {then}"
            if name in passed:
                continue
            if time.monotonic() - began > asked.seconds:
                left += 1
                continue
            wrong = it.interrupt(how, at, command, then=then)
            run, failed = run + 1, failed + bool(wrong)
            print(f"soak updown {name}: {'; '.join(wrong) or 'ok'}", flush=True)
            if not wrong:
                kept.add(seed=asked.seed, name=name)
    lab("down")
    minutes = (time.monotonic() - began) / 60
    told = f"{run} points, {failed} failed, {len(passed)} passed before, {left} left, {minutes:.1f} min"
    print(f"soak updown: {told}, seed {asked.seed} at {kept.at}", flush=True)
    return 1 if failed else 0


def _cases(it: Interruptions, seed: int) -> list[tuple[str, str, str, str]]:
    """(signal, point, command, the command after it), in an order drawn from the seed."""
    chance = Random(seed)
    cases = [
        (chance.choice(sorted(SIGNALS)), at, command, chance.choice(("up", "down")))
        for command in ("up", "down")
        for at in it.points(command)
    ]
    chance.shuffle(cases)
    return cases


if __name__ == "__main__":
    sys.exit(main())
