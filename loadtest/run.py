"""One run of the load, from the self-test to the footer."""

import logging
import resource
import signal
import time
from collections.abc import Callable, Sequence

import gevent

from loadtest.ledger import Ledger, LedgerError
from loadtest.locustfile import ParcelUser
from loadtest.messages import Broken, Message, Reply
from loadtest.open_loop import LabEnvironment, OpenLoop
from loadtest.outcomes import Outcome
from loadtest.selftest import self_test
from loadtest.sender import Ended, Sender
from loadtest.settings import Settings, parse
from loadtest.status import Status
from loadtest.tally import Tally
from loadtest.transport import Transport

CANNOT_MEASURE = 3
_START_AND_STOP_S = 30.0
_log = logging.getLogger("loadtest")


class CannotMeasure(Exception):  # noqa: N818 - it is what happened
    pass


def main(argv: Sequence[str]) -> int:
    settings = parse(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    status = Status()
    try:
        _run(settings, status)
    except (CannotMeasure, LedgerError) as error:
        _log.error("%s", error)
        status.error(str(error))
        return CANNOT_MEASURE
    return 0


def _run(settings: Settings, status: Status) -> None:
    _allow_connections(settings.pool)
    _prove_honest(status)
    with Ledger(settings.ledger) as ledger:
        ledger.header(run=settings.run, rate=settings.rate, seed=settings.seed, t=time.monotonic_ns())
        tally = Tally()
        transport = Transport(settings.target, connections=settings.pool)
        environment = LabEnvironment(user_class=ParcelUser, host=settings.target)
        sender = Sender(
            run=settings.run,
            transport=transport,
            ledger=ledger,
            tally=tally,
            deadline_ns=settings.deadline_ns,
            on_end=_tell(environment),
        )
        loop = environment.loop = OpenLoop(settings, sender)
        _stop_on_signals(loop.stop)
        _wait_for_target(transport, settings, loop)
        status.started(settings, t=time.monotonic_ns())
        _drive(environment, loop, settings, lambda: status.tick(tally, t=time.monotonic_ns()))
        counts, lag = tally.counts, tally.lag_p99_ms()
        ledger.footer(t=time.monotonic_ns(), counts=counts, lag_p99_ms=lag, complete=loop.complete)
        status.finished(tally, t=time.monotonic_ns(), reason=loop.reason)


def _prove_honest(status: Status) -> None:
    result = self_test()
    status.self_test(result)
    if not result.ok:
        raise CannotMeasure(
            f"the client hides broken answers: {result.injected} requests were dropped on purpose and "
            f"{result.reported} of them reported. Check the installed geventhttpclient against the lock"
        )


def _wait_for_target(transport: Transport, settings: Settings, loop: OpenLoop) -> None:
    last = "no attempt was made"
    until = time.monotonic_ns() + int(settings.answer_within_s * 1e9)
    number = 0
    while not loop.stopping and time.monotonic_ns() < until:
        number += 1
        headers = {"X-Lab-Request-Id": f"{settings.run}-probe-{number}"}
        answer = transport.send(Message(method="GET", path="/livez", headers=headers), until=until)
        if isinstance(answer, Reply) and answer.status == 200:  # noqa: PLR2004
            return
        last = answer.flaw.detail if isinstance(answer, Broken) else f"status {answer.status}"
        gevent.sleep(0.1)
    if not loop.stopping:
        raise CannotMeasure(
            f"{settings.target}/livez did not answer with 200 in {settings.answer_within_s:g} s, last: {last}. "
            "Check --target, and that a replica is ready"
        )


def _drive(environment: LabEnvironment, loop: OpenLoop, settings: Settings, tick: Callable[[], None]) -> None:
    runner = environment.create_local_runner()
    page = environment.create_web_ui("127.0.0.1", settings.web_port) if settings.web_port else None
    runner.start(1, spawn_rate=1)
    until = time.monotonic() + settings.max_seconds + settings.deadline_s + _START_AND_STOP_S
    while not loop.over.wait(1.0):
        tick()
        if time.monotonic() > until:
            raise CannotMeasure("the load is over its time and does not end: Locust has lost its user")
    runner.quit()
    if page is not None:
        page.stop()  # type: ignore[no-untyped-call]
    if isinstance(loop.failure, LedgerError):
        raise loop.failure
    if loop.failure is not None:
        raise CannotMeasure(f"a cohort of the locustfile failed: {loop.failure!r}") from loop.failure


def _tell(environment: LabEnvironment) -> Callable[[Ended], None]:
    def tell(ended: Ended) -> None:
        outcome = ended.judgement.outcome
        environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=ended.ask.method,
            name=ended.ask.cohort,
            response_time=ended.latency_ns / 1e6,
            response_length=ended.judgement.size,
            # by class only: Locust keeps one entry per text
            exception=None if outcome is Outcome.OK else RuntimeError(outcome),
            context={"id": ended.request_id, "version": ended.judgement.version, "replica": ended.judgement.replica},
        )

    return tell


def _stop_on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop)


def _allow_connections(pool: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = pool + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
