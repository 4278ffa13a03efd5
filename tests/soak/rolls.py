"""`make soak-rolls`: every order, batch and size of fleet, forth and back, with traffic; one line per roll.

Resumable: a roll that passed with the same code is not run again (`.lab/soak-rolls.jsonl`). Any roll that is not a
clean pass with something in flight at a retirement fails the soak.
"""

import json
import subprocess
import sys
import time
from typing import Any

from tests.soak.kept import ROOT, Kept

PROJECT = "soak"
# (replicas, order, batch)
FLEETS = [
    (1, "start-first", 1),
    (3, "start-first", 1),
    (3, "start-first", 3),
    (3, "stop-first", 1),
    (3, "stop-first", 2),
    (10, "start-first", 1),
    (10, "start-first", 5),
    (10, "stop-first", 1),
    (10, "stop-first", 5),
]
ROLLS = [["roll", "v2"], ["rollback"], ["roll", "v2-exits-at-once"], ["rollback"]]


def main() -> int:
    kept = Kept("rolls")
    passed = {row["name"] for row in kept.rows()}
    began, failures, requests = time.monotonic(), 0, 0
    for replicas, order, batch in FLEETS:
        name = f"N={replicas} {order} batch {batch}"
        if name in passed:
            print(f"soak rolls {name}: passed before", flush=True)
            continue
        lines, bad, offered = _fleet(name, replicas, order, batch)
        failures += bad
        requests += offered
        if not bad:
            kept.add(name=name, lines=lines)
    minutes = (time.monotonic() - began) / 60
    print(f"soak rolls: {failures} failed, {requests} requests, {minutes:.1f} min at {kept.at}", flush=True)
    return 1 if failures else 0


def _fleet(name: str, replicas: int, order: str, batch: int) -> tuple[list[str], int, int]:
    _lab("down")
    up = _lab("up", "--replicas", str(replicas))
    if up.returncode != 0:
        print(f"soak rolls {name}: lab up failed: {up.stderr}", flush=True)
        return [], 1, 0
    lines, bad, offered = [], 0, 0
    for words in ROLLS:
        done = _lab(*words, "--order", order, "--batch", str(batch), "--json")
        verdict = json.loads(done.stdout or "{}")
        good = done.returncode == 0 and verdict.get("dropped") == 0 and _exposed(verdict)
        what = f"{verdict.get('dropped', '?')} dropped of {verdict.get('judged', '?')}"
        took = verdict.get("run", {}).get("duration_s", 0)
        end = "ok" if good else "FAILED"
        line = f"soak rolls {name} {' '.join(words)}: {what}, {took:.1f} s, exit {done.returncode}, {end}"
        print(line, flush=True)
        lines.append(line)
        bad += not good
        offered += verdict.get("judged", 0)
    _lab("down")
    return lines, bad, offered


def _exposed(verdict: dict[str, Any]) -> bool:
    return any(swap["in_flight_at_retire"] for swap in verdict.get("exposure", []))


def _lab(*words: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "lab", *words, "--project", PROJECT]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
