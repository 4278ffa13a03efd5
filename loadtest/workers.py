"""Several processes for one load: Locust's own master and workers, one schedule, one ledger.

The master makes the ledger, starts the workers and says when the first request is due. Each worker goes through the
whole schedule and takes every K-th turn of it. All append to the one ledger; the counts come by Locust's messages.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

import gevent
from locust.runners import MasterRunner, WorkerRunner

from loadtest.ledger import Ledger
from loadtest.open_loop import LabEnvironment, OpenLoopUser, StopReason
from loadtest.part import Part, Told
from loadtest.preflight import CannotMeasure
from loadtest.settings import Settings
from loadtest.tally import Figures, figures_from_json, figures_to_json, no_figures

_READY_WITHIN_S = 30.0
_QUIT_WITHIN_S = 10.0
_AHEAD_NS = 500_000_000
_FIGURES, _OVER, _START, _STOP = "lab-figures", "lab-over", "lab-start", "lab-stop"


class Master:
    def __init__(self, settings: Settings, environment: LabEnvironment, argv: Sequence[str]) -> None:
        self._settings = settings
        self._environment = environment
        self._argv = list(argv)
        self._figures: dict[int, Figures] = {}
        self._answers: list[Told] = []
        self._over: dict[int, dict[str, Any]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        self.stopping = False
        self.failure = ""
        self._runner: MasterRunner = environment.create_master_runner("127.0.0.1", 0)
        self._runner.register_message(_FIGURES, self._take_figures)
        self._runner.register_message(_OVER, self._take_over)

    def __enter__(self) -> Self:
        port = str(self._runner.server.port)
        for number in range(self._settings.workers):
            flags = ["--worker", str(number), "--master-port", port]
            self._processes.append(subprocess.Popen([sys.executable, "-m", "loadtest", *self._argv, *flags]))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.quit()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self) -> None:
        """Return when every worker has its user, and knows when the first request is due."""
        workers = self._settings.workers
        until = time.monotonic() + _READY_WITHIN_S
        while self._runner.worker_count < workers:
            if time.monotonic() > until or self._dead():
                raise CannotMeasure(f"{self._runner.worker_count} of {workers} workers are there; see what stderr says")
            gevent.sleep(0.02)
        self._runner.start(workers, spawn_rate=workers)
        self._runner.send_message(_START, {"t": time.monotonic_ns() + _AHEAD_NS})
        if self.stopping:
            self.stop()

    def stop(self) -> None:
        self.stopping = True
        self._runner.send_message(_STOP, {})

    def wait_over(self, seconds: float) -> bool:
        """True when no worker has anything left to do."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._lost():
                self.stop()
            if len(self._over) + len(self._lost()) == self._settings.workers:
                return True
            gevent.sleep(0.05)
        return False

    def figures(self) -> Figures:
        whole = no_figures()
        for part in self._figures.values():
            whole += part
        return whole

    def take_answers(self) -> list[Told]:
        taken, self._answers = self._answers, []
        return taken

    @property
    def reason(self) -> str:
        reasons = {over["reason"] for over in self._over.values()}
        return reasons.pop() if len(reasons) == 1 else StopReason.STOPPED

    @property
    def complete(self) -> bool:
        return len(self._over) == self._settings.workers and all(over["complete"] for over in self._over.values())

    def _dead(self) -> list[int]:
        return [number for number, process in enumerate(self._processes) if process.poll() is not None]

    def _lost(self) -> list[int]:
        lost = [number for number in self._dead() if number not in self._over]
        if lost and not self.failure:
            code = self._processes[lost[0]].returncode
            self.failure = f"worker {lost[0]} ended in the middle of the load (exit {code}): its requests are open"
        return lost

    def _take_figures(self, environment: object, msg: Any) -> None:  # noqa: ARG002 - Locust names them
        self._figures[msg.data["worker"]] = figures_from_json(msg.data["figures"])
        self._answers += [(replica, due, took) for replica, due, took in msg.data["answers"]]

    def _take_over(self, environment: object, msg: Any) -> None:
        self._take_figures(environment, msg)
        self._over[msg.data["worker"]] = msg.data
        self.failure = self.failure or msg.data["failure"]
        if msg.data["failure"]:
            self.stop()


def work(settings: Settings, users: type[OpenLoopUser], *, signals: Callable[[Callable[[], None]], None]) -> None:
    """Be one of the workers: until the master says to quit, or is gone."""
    master = os.getppid()
    with Ledger(settings.ledger, shared=True) as ledger:
        part = Part(settings, users, ledger)
        loop = part.loop
        signals(loop.stop)
        runner: WorkerRunner = part.environment.create_worker_runner("127.0.0.1", settings.master_port)
        runner.register_message(_START, lambda environment, msg: loop.begin(msg.data["t"]))  # noqa: ARG005
        runner.register_message(_STOP, lambda environment, msg: loop.stop())  # noqa: ARG005
        while not loop.over.wait(1.0):
            if os.getppid() != master:  # nobody would write the footer, nor stop this load
                loop.stop()
            runner.send_message(_FIGURES, _told(settings, part))
        failure = "" if loop.failure is None else f"a cohort of the locustfile failed: {loop.failure!r}"
        runner.send_message(
            _OVER,
            {
                **_told(settings, part),
                "complete": loop.complete,
                "reason": loop.reason.value,
                "failure": failure,
            },
        )
        _until_quit(runner, master)


def _told(settings: Settings, part: Part) -> dict[str, Any]:
    return {
        "worker": settings.worker,
        "figures": figures_to_json(part.figures()),
        "answers": part.take_answers(),
    }


def _until_quit(runner: WorkerRunner, master: int) -> None:
    until = time.monotonic() + _QUIT_WITHIN_S
    while runner.greenlet and os.getppid() == master and time.monotonic() < until:
        gevent.sleep(0.05)
