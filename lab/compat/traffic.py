"""Light traffic at one version while something happens below it: each worker has rows of its own, and checks them."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lab.compat.catalogue import Symptom
from lab.compat.cells import Live
from lab.compat.client import Client
from lab.compat.contract import Asker, warm
from lab.compat.model import Failure
from lab.compat.oracle import Row
from lab.compat.stalls import STALL_SECONDS

WORKERS = 4
"""As many as keep every connection of a small pool in use at once."""
WARM = 10
"""A driver prepares a statement after five executions; a pool does not share them out evenly."""
PACE = 0.06
"""Seconds from one round to the next: about 60 rounds a second in all."""
MOST_KEPT = 40


@dataclass(slots=True, kw_only=True)
class Worker:
    asker: Asker
    rows: dict[str, list[Row]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Of one version. `seconds`: how long each request took since the last `begin`."""

    workers: Sequence[Worker]

    @property
    def version(self) -> str:
        return self.workers[0].asker.version

    @property
    def asked(self) -> int:
        return sum(worker.asker.client.asked for worker in self.workers)

    def begin(self) -> None:
        for worker in self.workers:
            worker.failures.clear()
            worker.asker.client.seconds.clear()

    def seconds(self) -> list[float]:
        return sorted(taken for worker in self.workers for taken in worker.asker.client.seconds)

    def failures(self) -> list[Failure]:
        found = [failure for worker in self.workers for failure in worker.failures]
        slowest = max(self.seconds(), default=0.0)
        if slowest > STALL_SECONDS:
            what = f"{self.version}: a request had to wait {slowest:.1f} s"
            found.append(Failure(level=4, symptom=Symptom.STALL, what=what))
        return found[:MOST_KEPT]

    @contextmanager
    def running(self) -> Iterator[None]:
        over = threading.Event()
        threads = [threading.Thread(target=_work, args=(worker, over), daemon=True) for worker in self.workers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def close(self) -> None:
        for worker in self.workers:
            worker.asker.client.close()


def traffic_at(live: Live) -> Traffic:
    """Workers whose connections, and those of the version to its database, are warm."""
    made = []
    for number in range(WORKERS):
        name = f"{live.asker.client.name}-{number}"
        asker = replace(live.asker, client=Client(live.cell.port, name), run=f"{name}-", level=4)
        made.append(Worker(asker=asker))
    threads = [threading.Thread(target=_warm, args=(worker,), daemon=True) for worker in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Traffic(workers=made)


def _warm(worker: Worker) -> None:
    for resource in worker.asker.checks.resources:
        row, _ = worker.asker.create(resource, worker.asker.version)
        worker.rows[resource.name] = [] if row is None else [row]
    warm(worker.asker, worker.rows, WARM)


def _work(worker: Worker, over: threading.Event) -> None:
    number = 0
    while not over.wait(PACE):
        number += 1
        began = time.monotonic()
        for resource in worker.asker.checks.resources:
            rows = worker.rows.setdefault(resource.name, [])
            if number % 4 == 1 or not rows:
                row, found = worker.asker.create(resource, worker.asker.version)
                rows += [] if row is None else [row]
            elif number % 4 == 2:  # noqa: PLR2004  one kind of request in four
                found = worker.asker.update(resource, rows[-1 if number % 8 == 2 else 0])  # noqa: PLR2004  old ones too
            elif number % 4 == 3:  # noqa: PLR2004
                found = worker.asker.read(resource, rows[-1])
            else:
                found = worker.asker.walk(resource, rows[-3:])
            worker.failures += found
        if time.monotonic() - began > 1.0 and len(worker.failures) > MOST_KEPT:
            return
