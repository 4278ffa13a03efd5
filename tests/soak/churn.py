"""`make soak-churn`: a thousand replacements under 300 requests a second of every kind, one line per hundred."""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.churn_evidence import breaches
from tests.churn_traffic import RATE
from tests.proxy_churn import Churn
from tests.proxy_process import process_world

ROUNDS, CYCLES = 10, 100
MOST_SECONDS = 600.0
_SHOWN = 20


async def main() -> int:
    failures = 0
    for number in range(1, ROUNDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            async with process_world(Path(folder)) as lab:
                found = await Churn(lab).run(cycles=CYCLES, seconds=MOST_SECONDS)
        bad = breaches(found)
        if found.cycles < CYCLES:
            bad.append(f"only {found.cycles} of {CYCLES} cycles in {MOST_SECONDS:g} s")
        if found.rate < RATE:
            bad.append(f"only {found.rate:.0f} of {RATE} requests a second: the machine was too busy")
        print(f"soak churn {number}/{ROUNDS}: {found.summary()}, {'FAILED' if bad else 'ok'}", flush=True)
        for breach in bad[:_SHOWN]:
            print(f"  {breach}", flush=True)
        failures += bool(bad)
    print(f"soak churn: {failures} of {ROUNDS} rounds failed", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
