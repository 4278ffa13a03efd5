"""One run of the load, from the self-test to the footer."""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import gevent

from loadtest.ledger import Ledger, LedgerError
from loadtest.mix import NoMix, mixed
from loadtest.open_loop import LabEnvironment, OpenLoop, OpenLoopUser
from loadtest.own_file import BadLocustfile, users_of
from loadtest.part import Part, Told
from loadtest.preflight import CannotMeasure, allow_connections, prove_honest, wait_for_target
from loadtest.settings import Settings, parse
from loadtest.status import Status
from loadtest.tally import Figures
from loadtest.transport import Transport
from loadtest.workers import Master, work

CANNOT_MEASURE = 3
WRONG_USAGE = 2
_START_AND_STOP_S = 30.0
_AHEAD_NS = 100_000_000
"""Locust has to make its user first: that is no lateness of the schedule."""
_log = logging.getLogger("loadtest")


def main(argv: Sequence[str]) -> int:
    settings = parse(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    status = Status()
    try:
        _run(settings, status, argv)
    except (CannotMeasure, LedgerError, BadLocustfile, NoMix) as error:
        _log.error("%s", error)
        status.error(str(error))
        return WRONG_USAGE if isinstance(error, (BadLocustfile, NoMix)) else CANNOT_MEASURE
    return 0


def _run(settings: Settings, status: Status, argv: Sequence[str]) -> None:
    users = users_of(settings)
    mix = mixed(users.cohorts(), settings.cohorts, settings.slow, settings.rate)
    if settings.check:
        return
    allow_connections(settings.pool)
    if settings.worker is not None:
        work(settings, users, signals=_on_signals)
        return
    prove_honest(status)
    with Ledger(settings.ledger) as ledger:
        parts = {name: round(share.part, 4) for name, share in mix.items()}
        ledger.header(t=time.monotonic_ns(), settings=_told(settings, parts))
        if settings.workers > 1:
            _many(settings, users, ledger, status, argv)
        else:
            _one(settings, users, ledger, status)


def _one(settings: Settings, users: type[OpenLoopUser], ledger: Ledger, status: Status) -> None:
    part = Part(settings, users, ledger)
    loop = part.loop
    _on_signals(loop.stop)
    wait_for_target(part.transport, settings, lambda: loop.stopping)
    runner = part.environment.create_local_runner()
    page = _page(part.environment, settings)
    _start(loop, status, settings)
    runner.start(1, spawn_rate=1)
    _follow(loop.over.wait, part, settings, status)
    runner.quit()
    if page is not None:
        page()
    part.raise_failure()
    _close(ledger, status, part.figures(), reason=loop.reason, complete=loop.complete)


def _start(loop: OpenLoop, status: Status, settings: Settings) -> None:
    now = time.monotonic_ns()
    status.started(settings, t=now)
    loop.begin(now + _AHEAD_NS)


def _many(settings: Settings, users: type[OpenLoopUser], ledger: Ledger, status: Status, argv: Sequence[str]) -> None:
    environment = LabEnvironment(user_class=users, host=settings.target)
    transport = Transport(settings.target, connections=1, published=settings.published_port)
    with Master(settings, environment, argv) as master:
        _on_signals(master.stop)
        wait_for_target(transport, settings, lambda: master.stopping)
        page = _page(environment, settings)
        master.start()
        status.started(settings, t=time.monotonic_ns())
        _follow(master.wait_over, master, settings, status)
        if page is not None:
            page()
    _close(ledger, status, master.figures(), reason=master.reason, complete=master.complete)
    if master.failure:
        raise CannotMeasure(master.failure)


class Counted(Protocol):
    """A whole load, in one process or in several."""

    def figures(self) -> Figures: ...

    def take_answers(self) -> list[Told]: ...


def _follow(over: Callable[[float], object], load: Counted, settings: Settings, status: Status) -> None:
    until = time.monotonic() + settings.max_seconds + settings.deadline_s + _START_AND_STOP_S
    while not over(1.0):
        t = time.monotonic_ns()
        status.answers(load.take_answers(), t=t)
        status.tick(load.figures(), t=t)
        if time.monotonic() > until:
            raise CannotMeasure("the load is over its time and does not end: Locust has lost its user")
    status.answers(load.take_answers(), t=time.monotonic_ns())


def _close(ledger: Ledger, status: Status, figures: Figures, *, reason: str, complete: bool) -> None:
    lag = figures.lags.percentile_ms(0.99) or 0.0
    ledger.footer(t=time.monotonic_ns(), counts=figures.counts, lag_p99_ms=lag, complete=complete)
    status.finished(figures, t=time.monotonic_ns(), reason=reason)


def _page(environment: LabEnvironment, settings: Settings) -> Callable[[], None] | None:
    if not settings.web_port:
        return None
    page = environment.create_web_ui(settings.web_host, settings.web_port)
    return page.stop


def _told(settings: Settings, parts: dict[str, float]) -> dict[str, object]:
    return {
        "run": settings.run,
        "rate": settings.rate,
        "seed": settings.seed,
        "shape": settings.shape,
        "arrivals": settings.arrivals,
        "cohorts": parts,
        "workers": settings.workers,
        "deadline_ms": round(settings.deadline_s * 1000),
        "published_port": settings.published_port,
    }


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop)
