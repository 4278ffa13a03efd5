"""`make bench`: how long a one-at-a-time roll takes beside the sum of what it cannot do without.

That sum, for each slot: docker create + docker start + the app's own boot + docker stop of an idle replica, by plain
calls on the same image and spec, measured between the rolls of the same run, under the same small load. The rolls are
the controller's own, on Docker, with min-ready 0 and requests of at most 50 ms; from `rollout-started` to
`rollout-ended` in the journal. Each roll is held against the swaps measured right before and right after it; what is
printed is the median. `--waterfall` shows where a roll's time goes.
"""

import argparse
import asyncio
import http.client
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp

from lab.assembly import Lab
from lab.clock import measure_clock
from lab.lease import held_lease
from lab.model import Ending, Order, Revision, RolloutSpec
from lab.operations.rollouts import Attempt, run_rollout
from lab.ports import Event
from lab.project import project_at
from lab.replica_spec import body_of

ROOT = Path(__file__).resolve().parents[2]
LIMITS = tomllib.loads(Path(__file__).with_name("limits.toml").read_text())["roll"]
REQUESTS_PER_SECOND = 20
REQUEST = "/slow?seconds=0.04"
"""40 ms and the way there and back: at most 50 ms."""
BOOT_SECONDS = 30.0
PROBE_SECONDS = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """One replica's swap by plain Docker calls. Seconds."""

    create: float
    start: float
    boot: float
    stop: float

    @property
    def total(self) -> float:
        return self.create + self.start + self.boot + self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    order: Order
    seconds: float
    steps: tuple[Steps, ...]
    """Two for each slot: those before the roll, and those after."""
    events: tuple[Event, ...]

    @property
    def ratio(self) -> float:
        return self.seconds / (sum(steps.total for steps in self.steps) / 2)


@dataclass(slots=True)
class Load:
    """Its requests, and what went wrong with them. Seconds."""

    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--project", default="bench-roll")
    options.add_argument("--slots", type=int, default=3)
    options.add_argument("--rolls", type=int, default=6, help="of each order")
    options.add_argument("--waterfall", action="store_true")
    chosen = options.parse_args()
    command = [sys.executable, "-m", "lab"]
    where = ["--project", chosen.project]
    try:
        _run([*command, "up", "--replicas", str(chosen.slots), *where])
        _run([*command, "roll", "v2", "--no-load", *where])
        rolls, load = asyncio.run(_measure(chosen.project, chosen.slots, chosen.rolls))
    finally:
        _run([*command, "down", *where])
    _report(rolls, load, waterfall=chosen.waterfall)
    missed = [f"roll-{order}-vs-steps" for order in Order if not _row(order, rolls)]
    return 1 if missed or load.failed else 0


def _run(argv: list[str]) -> None:
    subprocess.run(argv, cwd=ROOT, capture_output=True, check=True)


async def _measure(project: str, slots: int, many: int) -> tuple[list[Roll], Load]:
    lab = Lab(project=project_at(ROOT, project))
    manifest = lab.manifest
    ready = replace(manifest, readiness=replace(manifest.readiness, min_ready=0.0))
    vars(lab)["manifest"] = ready  # in the place of what the file says
    load, rolls = Load(), []
    async with lab.gateway() as gateway, held_lease(gateway, lab.project.home), _loaded(lab.port, load):
        clock = await measure_clock(gateway)
        before = _swaps(lab, slots)
        for number in range(many):
            for order in Order:
                now = lab.history().current or 0
                to = next(r for r in lab.history().revisions.values() if r.number != now)
                first = order is Order.START_FIRST
                spec = RolloutSpec(
                    target=to.number,
                    replicas=slots,
                    surge=1 if first else 0,
                    unavailable=0 if first else 1,
                    back_to=now,
                    service=manifest.service,
                )
                attempt = Attempt(run=f"bench-{number}-{order}-{time.monotonic_ns()}", kind="roll", spec=spec)
                ended = await run_rollout(
                    lab, gateway, clock, attempt, listen=lambda _: None, archive=lambda _name, _log: None
                )
                if ended.ending is not Ending.DONE:
                    raise RuntimeError(f"the roll ended {ended.ending}: {ended.reason}")
                events = tuple(lab.journal.events(run=attempt.run))
                after = await asyncio.to_thread(_swaps, lab, slots)
                took = (events[-1].t_ns - events[0].t_ns) / 1e9
                rolls.append(Roll(order=order, seconds=took, steps=(*before, *after), events=events))
                before = after
    return rolls, load


@asynccontextmanager
async def _loaded(port: int, load: Load) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        offering = asyncio.create_task(_offer(session, port, load))
        try:
            yield
        finally:
            offering.cancel()
            await asyncio.gather(offering, return_exceptions=True)


async def _offer(session: aiohttp.ClientSession, port: int, load: Load) -> None:
    running: set[asyncio.Task[None]] = set()
    try:
        while True:
            one = asyncio.create_task(_request(session, port, load))
            running.add(one)
            one.add_done_callback(running.discard)
            await asyncio.sleep(1 / REQUESTS_PER_SECOND)
    finally:
        await asyncio.gather(*running)


async def _request(session: aiohttp.ClientSession, port: int, load: Load) -> None:
    began = time.monotonic()
    try:
        async with session.get(f"http://127.0.0.1:{port}{REQUEST}") as answer:
            await answer.read()
            if answer.status != http.HTTPStatus.OK:
                load.failed.append(f"status {answer.status}")
    except (aiohttp.ClientError, OSError) as error:
        load.failed.append(repr(error))
    load.took.append(time.monotonic() - began)


# what a swap cannot do without


def _swaps(lab: Lab, many: int) -> tuple[Steps, ...]:
    history = lab.history()
    return tuple(_swap(lab, history.revisions[history.current or 0], number) for number in range(many))


def _swap(lab: Lab, revision: Revision, number: int) -> Steps:
    docker, readiness = lab.docker, lab.manifest.readiness
    name = f"{lab.manifest.service}-{900 + number}.1"
    body = body_of(
        revision, asdict(lab.secrets), name=name, slot=900 + number, generation=1, labels=docker.labels("bench")
    )
    at = [time.monotonic()]
    container = docker.api.create_container_from_config(body, f"{docker.compose_name}-{name}")["Id"]
    try:
        at.append(time.monotonic())
        docker.api.start(container)
        at.append(time.monotonic())
        networks = docker.inspect(container)["NetworkSettings"]["Networks"]
        _await_ready(next(iter(networks.values()))["IPAddress"], readiness.port, readiness.path)
        at.append(time.monotonic())
        docker.api.stop(container, timeout=10)
        at.append(time.monotonic())
    finally:
        docker.remove(container)
    create, start, boot, stop = (b - a for a, b in pairwise(at))
    return Steps(create=create, start=start, boot=boot, stop=stop)


def _await_ready(address: str, port: int, path: str) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        link = http.client.HTTPConnection(address, port, timeout=1)
        try:
            link.request("GET", path)
            if link.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            pass
        finally:
            link.close()
        time.sleep(PROBE_SECONDS)
    raise RuntimeError(f"{address}:{port} was not ready within {BOOT_SECONDS:g}s")


# what is printed


def _report(rolls: list[Roll], load: Load, *, waterfall: bool) -> None:
    slow = sorted(load.took)[int(len(load.took) * 0.99)]
    print(f"roll: {len(load.took)} requests, {len(load.failed)} failed, p99 {1000 * slow:.0f} ms", flush=True)
    for line in sorted(set(load.failed)):
        print(f"roll: failed: {line}", flush=True)
    steps = [one for roll in rolls for one in roll.steps]
    parts = (f"{name} {1000 * _median(getattr(one, name) for one in steps):.0f}" for name in Steps.__slots__)
    print(f"roll: ms of a plain swap: {', '.join(parts)}", flush=True)
    for order in Order:
        ratios = sorted(roll.ratio for roll in rolls if roll.order is order)
        seconds = _median(roll.seconds for roll in rolls if roll.order is order)
        print(f"roll: {order}: {seconds:.2f} s, ratios {' '.join(f'{r:.2f}' for r in ratios)}", flush=True)
    if waterfall:
        for order in Order:
            for line in waterfall_of(next(r for r in reversed(rolls) if r.order is order).events):
                print(line)


def _row(order: Order, rolls: list[Roll]) -> bool:
    name = f"roll-{order}-vs-steps"
    value = _median(roll.ratio for roll in rolls if roll.order is order)
    ok: bool = value <= LIMITS[name]
    print(f"target {name} {value:.2f} {LIMITS[name]} {'ok' if ok else 'MISSED'}", flush=True)
    return ok


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def waterfall_of(events: tuple[Event, ...]) -> list[str]:
    """Each act with its beginning, its length, and for how long nothing was under way before it. Milliseconds."""
    first, lines = events[0].t_ns, []
    open_acts: dict[tuple[Any, Any], tuple[int, float]] = {}
    idle_since = first
    for event in events:
        key = (event.data.get("verb"), event.data.get("replica"))
        if event.type == "act-intended":
            open_acts[key] = event.t_ns, 0.0 if open_acts else (event.t_ns - idle_since) / 1e6
        elif event.type == "act-done":
            began, idle = open_acts.pop(key)
            at, took = (began - first) / 1e6, (event.t_ns - began) / 1e6
            lines.append(f"  {at:8.0f}  {took:6.0f}  idle {idle:6.0f}  {key[0]} {key[1]}")
            idle_since = event.t_ns
    return [f"  {'at':>8}  {'took':>6}", *sorted(lines), f"  {(events[-1].t_ns - first) / 1e6:8.0f}  end"]


if __name__ == "__main__":
    sys.exit(main())
