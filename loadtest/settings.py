import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.schedule import Arrivals, SlowPlan, plan_slow

# a request id is at most 64 characters long: the run, the longest cohort name and seven digits must fit
_RUN = re.compile(r"[A-Za-z0-9._-]{1,38}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    target: str
    run: str
    rate: float
    replicas: int
    seed: int
    max_seconds: float
    max_requests: int
    deadline_s: float
    runs_dir: Path
    arrivals: Arrivals
    pool: int
    answer_within_s: float
    web_port: int | None

    @property
    def ledger(self) -> Path:
        return self.runs_dir / self.run / "client.jsonl"

    @property
    def deadline_ns(self) -> int:
        return int(self.deadline_s * 1e9)

    @property
    def slow(self) -> SlowPlan:
        return plan_slow(self.rate, self.replicas, deadline_s=self.deadline_s)


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Settings:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest", description="Open-loop load with a ledger of every request."
    )
    add = parser.add_argument
    add("--target", required=True, help="the proxy, e.g. http://proxy:8080")
    add("--run", required=True, type=_run, help="the run's id; its folder holds client.jsonl")
    add("--rate", type=_above_zero, default=100.0, help="requests a second, whatever the answers are")
    add("--replicas", type=_count, default=3, help="size of the fleet: sets how many slow requests are in flight")
    add("--seed", type=int, default=1)
    add("--max-seconds", type=_above_zero, default=600.0)
    add("--max-requests", type=_count, default=200_000)
    add("--deadline-s", type=_above_zero, default=30.0, help="counted from the time a request was due")
    add("--runs-dir", type=Path, default=Path(environment.get("LAB_RUNS_DIR", "/runs")))
    add("--arrivals", type=Arrivals, choices=list(Arrivals), default=Arrivals.FIXED)
    add("--pool", type=_count, default=2000, help="requests in flight at most; beyond it they are not sent")
    add("--answer-within-s", type=_above_zero, default=15.0, help="how long to wait for the target at the start")
    add("--web-port", type=int, help="serve Locust's own web page on this port of 127.0.0.1")
    return Settings(**vars(parser.parse_args(argv)))


def _run(text: str) -> str:
    if not _RUN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} must match {_RUN.pattern}")
    return text


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} must be at least 1")
    return value
