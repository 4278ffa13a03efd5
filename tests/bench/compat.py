"""`lab compat` on the sample app, two versions and four phases: `target NAME VALUE LIMIT ok|MISSED`, in seconds.

The first run records what each image runs, and is not measured. Each figure is the best of a few: other work on the
machine only makes it slower.
"""

import subprocess
import sys
import time
import tomllib
from pathlib import Path

LIMITS = tomllib.loads(Path(__file__).with_name("limits.toml").read_text())["compat"]
ROOT = Path(__file__).resolve().parents[2]
PROJECT = "bench-compat"
ROWS = {"compat-0-1": "0-1", "compat-0-3": "0-3", "compat-0-4": "0-4"}
ROUNDS = 2


def main() -> int:
    _once("0-1")
    missed = 0
    try:
        for name, levels in ROWS.items():
            best = min(_once(levels) for _ in range(ROUNDS))
            ok = best <= LIMITS[name]
            missed += not ok
            print(f"target {name} {best:.2f} {LIMITS[name]} {'ok' if ok else 'MISSED'}", flush=True)
    finally:
        subprocess.run([sys.executable, "-m", "lab", "down", "--project", PROJECT], cwd=ROOT, check=False)
    return 1 if missed else 0


def _once(levels: str) -> float:
    began = time.monotonic()
    argv = [sys.executable, "-m", "lab", "compat", "--levels", levels, "--project", PROJECT, "--quiet"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"compat: levels {levels}: exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
