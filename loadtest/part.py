"""One process's share of the load: everything between the schedule and the ledger, ready to be followed."""

import gc
import time
from collections.abc import Callable

from loadtest.ledger import Ledger, LedgerError
from loadtest.open_loop import LabEnvironment, OpenLoop, OpenLoopUser
from loadtest.outcomes import Outcome
from loadtest.preflight import CannotMeasure
from loadtest.sender import Ended, Sender
from loadtest.settings import Settings
from loadtest.tally import Figures, Tally
from loadtest.transport import Transport

Told = tuple[str, int, int]
"""Who answered, when the request was due, and how long it took: microseconds."""


class Part:
    def __init__(self, settings: Settings, users: type[OpenLoopUser], ledger: Ledger) -> None:
        self.transport = Transport(settings.target, connections=settings.pool, published=settings.published_port)
        self.environment = LabEnvironment(user_class=users, host=settings.target)
        self._tally = Tally()
        self._tells = settings.tell_answers
        self._answers: list[Told] = []
        self._locust = _tell(self.environment)
        sender = Sender(
            run=settings.run,
            transport=self.transport,
            ledger=ledger,
            tally=self._tally,
            deadline_ns=settings.deadline_ns,
            on_end=self._end,
            first=1 + (settings.worker or 0),
            step=settings.workers,
        )
        self.loop = self.environment.loop = OpenLoop(settings, sender)
        # what was imported lives as long as the process: looking through it again and again would make requests late
        gc.collect()
        gc.freeze()

    def figures(self) -> Figures:
        return self._tally.figures(time.monotonic_ns())

    def take_answers(self) -> list[Told]:
        """The good ones since this was last asked, of the requests whose latency says something."""
        taken, self._answers = self._answers, []
        return taken

    def _end(self, ended: Ended) -> None:
        self._locust(ended)
        found = ended.judgement
        if self._tells and ended.ask.timed and found.outcome is Outcome.OK and found.replica is not None:
            self._answers.append((found.replica, ended.ask.due // 1000, ended.latency_ns // 1000))

    def raise_failure(self) -> None:
        failure = self.loop.failure
        if isinstance(failure, LedgerError):
            raise failure
        if failure is not None:
            raise CannotMeasure(f"a cohort of the locustfile failed: {failure!r}") from failure


def _tell(environment: LabEnvironment) -> Callable[[Ended], None]:
    def tell(ended: Ended) -> None:
        outcome = ended.judgement.outcome
        environment.events.request.fire(  # type: ignore[no-untyped-call]
            request_type=ended.ask.method,
            name=ended.ask.cohort,
            response_time=ended.latency_ns / 1e6,
            response_length=ended.judgement.size,
            # by class only: Locust keeps one entry per text
            exception=None if outcome in {Outcome.OK, Outcome.CUT} else RuntimeError(outcome),
            context={"id": ended.request_id, "version": ended.judgement.version, "replica": ended.judgement.replica},
        )

    return tell
