"""`make bench-load`: the highest rate that one process offers on time, `target NAME VALUE LIMIT ok|MISSED`.

On time: the schedule lag's p99 stays under 50 ms, everything is sent and nothing fails. Against a stub, and through a
whole lab, which has no limit: the machine decides. With a number, only that rate against the stub, for a look.
"""

import itertools
import json
import multiprocessing
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.loadtest_world import ROOT, load, served

LIMIT = tomllib.loads(Path(__file__).with_name("limits.toml").read_text())["load"]["load-rate"]
LAG_P99_MS = 50.0
SECONDS = 8
SEEDS = itertools.count(1)
RATES = (100, 200, 400, 600, 800, 1000, 1250, 1500, 1750, 2000, 2500, 3000)


def main(argument: str) -> int:
    if argument.isdecimal():
        with stub() as url:
            print(measure(url, int(argument)))
        return 0
    with stub() as url:
        found = highest(url, [rate for rate in RATES if rate >= LIMIT])
    print(f"target load-rate {found} {LIMIT} {'ok' if found >= LIMIT else 'MISSED'}", flush=True)
    with lab() as url:
        print(f"target lab-load-rate {highest(url, RATES, '--published-port')} - ok", flush=True)
    return 0 if found >= LIMIT else 1


def highest(url: str, rates: Sequence[int], *flags: str) -> int:
    """The last before the first that fails; each has a second chance, for other work on the machine."""
    good = 0
    for rate in rates:
        if not any(on_time(measure(url, rate, *flags)) for _ in range(2)):
            break
        good = rate
    return good


def on_time(last: dict[str, Any]) -> bool:
    told = ", ".join(f"{name} {last.get(name)}" for name in ("offered", "failed", "not_sent", "lag_p99_ms"))
    print(f"load: {told}", flush=True)
    return last["type"] == "finished" and last["lag_p99_ms"] < LAG_P99_MS and not (last["failed"] or last["not_sent"])


def measure(url: str, rate: int, *more: str) -> dict[str, Any]:
    # a seed for each: the same one would find the parcels that the measurement before has stored and changed
    flags = ("--rate", str(rate), "--max-seconds", str(SECONDS), "--seed", str(next(SEEDS)), *more)
    with tempfile.TemporaryDirectory() as runs, load(url, Path(runs), *flags) as run:
        run.end()
        return run.lines[-1]


@contextmanager
def lab() -> Iterator[str]:
    command, project = [sys.executable, "-m", "lab"], ["--project", "bench-load"]
    up = subprocess.run([*command, "up", "--json", *project], cwd=ROOT, capture_output=True, check=True)
    try:
        yield json.loads(up.stdout)["url"]
    finally:
        subprocess.run([*command, "down", *project], cwd=ROOT, capture_output=True, check=True)


@contextmanager
def stub() -> Iterator[str]:
    """In a process of its own."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    server.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        server.join(20)


def _serve(pipe: Connection) -> None:
    with served() as server:
        pipe.send(server.url)
        pipe.recv()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] else ""))
