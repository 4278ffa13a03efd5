"""What must be true before the first request: the client hides nothing, the target answers, sockets suffice."""

import resource
import time
from collections.abc import Callable

import gevent

from loadtest.messages import Broken, Message, Reply
from loadtest.selftest import self_test
from loadtest.settings import Settings
from loadtest.status import Status
from loadtest.transport import Transport


class CannotMeasure(Exception):  # noqa: N818 - it is what happened
    pass


def prove_honest(status: Status) -> None:
    result = self_test()
    status.self_test(result)
    if not result.ok:
        raise CannotMeasure(
            f"the client hides broken answers: {result.injected} requests were broken on purpose and "
            f"{result.reported} of them reported. Check the installed geventhttpclient against the lock"
        )


def wait_for_target(transport: Transport, settings: Settings, stopping: Callable[[], bool]) -> None:
    last = "no attempt was made"
    until = time.monotonic_ns() + int(settings.answer_within_s * 1e9)
    number = 0
    while not stopping() and time.monotonic_ns() < until:
        number += 1
        headers = {"X-Lab-Request-Id": f"{settings.run}-probe-{number}"}
        answer = transport.send(Message(method="GET", path=settings.alive, headers=headers), until=until)
        if isinstance(answer, Reply) and answer.status == 200:  # noqa: PLR2004
            return
        last = answer.flaw.detail if isinstance(answer, Broken) else f"status {answer.status}"
        gevent.sleep(0.1)
    if not stopping():
        raise CannotMeasure(
            f"{settings.target}{settings.alive} did not answer with 200 in {settings.answer_within_s:g} s, "
            f"last: {last}. Check --target, and that a replica is ready"
        )


def allow_connections(pool: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = pool + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
