import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.mix import NoMix, parse_weights
from loadtest.schedule import Arrivals, SlowPlan, plan_slow
from loadtest.shape import NoShape, Shape, parse_shape

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
    slow_s: float | None
    web_port: int | None
    web_host: str
    cohorts: Mapping[str, float]
    shape: str
    locustfile: Path | None
    paths: tuple[str, ...]
    alive: str
    workers: int
    published_port: bool
    worker: int | None
    master_port: int
    check: bool
    tell_answers: bool

    @property
    def ledger(self) -> Path:
        return self.runs_dir / self.run / "client.jsonl"

    @property
    def deadline_ns(self) -> int:
        return int(self.deadline_s * 1e9)

    @property
    def slow(self) -> SlowPlan:
        return plan_slow(self.rate, self.replicas, deadline_s=self.deadline_s, seconds=self.slow_s)

    @property
    def course(self) -> Shape:
        return parse_shape(self.shape, self.rate)


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
    add("--cohorts", type=_weights, default={}, help="weights in requests, e.g. read=3,slow=1; the others get none")
    add("--shape", default="steady", help="steady, ramp:from=10,to=200,over=60 or spike:at=20,for=5,times=3,every=60")
    add("--locustfile", type=Path, help="a locustfile of your own, whose users have the LedgerMixin")
    add("--paths", type=_paths, default=(), help="GET these instead of using the sample app, e.g. /,/items")
    add("--alive", type=_path, default="/livez", help="what answers with 200 when the target is there")
    add("--workers", type=_count, default=1, help="processes, each with its part of the schedule and one ledger")
    add("--published-port", action="store_true", help="the target is a port that Docker publishes on this host")
    add("--slow-s", type=_above_zero, help="how long a slow request takes; from 2.5 s on, by the rate, unless given")
    add("--pool", type=_count, default=2000, help="turns in flight at most, in each process; beyond it: not sent")
    add("--answer-within-s", type=_above_zero, default=15.0, help="how long to wait for the target at the start")
    add("--web-port", type=int, help="serve Locust's own web page on this port")
    add("--web-host", default="127.0.0.1", help="and on this address")
    add("--tell-answers", action="store_true", help="print when each good answer was due, and how long it took")
    add("--check", action="store_true", help="only say whether it can be offered: exit 0 or 2")
    add("--worker", type=int, help=argparse.SUPPRESS)
    add("--master-port", type=int, default=0, help=argparse.SUPPRESS)
    found = parser.parse_args(argv)
    _check_shape(parser, found)
    return Settings(**vars(found))


def _check_shape(parser: argparse.ArgumentParser, found: Any) -> None:
    try:
        parse_shape(found.shape, found.rate)
    except NoShape as error:
        parser.error(f"argument --shape: {error}")


def _run(text: str) -> str:
    if not _RUN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} must match {_RUN.pattern}")
    return text


def _weights(text: str) -> dict[str, float]:
    try:
        return parse_weights(text)
    except NoMix as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _path(text: str) -> str:
    if not re.fullmatch(r"/[!-~]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a path beginning with /")
    return text


def _paths(text: str) -> tuple[str, ...]:
    return tuple(_path(part.strip()) for part in text.split(","))


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
