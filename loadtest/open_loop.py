"""Open loop inside Locust: one user follows the schedule and waits for no answer.

Locust's own users send their next request after the last answer, so a frozen server silently lowers the load and
hides its own freeze. Here the time a request is due is fixed beforehand, and its latency counts from then.
"""

import random
import time
from collections.abc import Mapping
from enum import StrEnum

import gevent
import locust
from gevent.event import AsyncResult, Event
from gevent.pool import Pool
from locust import User, task
from locust.env import Environment
from locust.exception import StopUser

from loadtest.cohorts import Cohort, Turn
from loadtest.mix import mixed
from loadtest.schedule import Slot, slots
from loadtest.sender import Sender
from loadtest.settings import Settings

_BURST = 64
_START_WITHIN_S = 30.0


class StopReason(StrEnum):
    STOPPED = "stopped"
    MAX_SECONDS = "max-seconds"
    MAX_REQUESTS = "max-requests"


class OpenLoop:
    """Follows the schedule until it is over or `stop` is called; then waits for what is in flight.

    One of several workers follows it too, and takes the turns that are its own. `begin` says when the first is due.
    """

    def __init__(self, settings: Settings, sender: Sender) -> None:
        self._settings = settings
        self._sender = sender
        self._in_flight = Pool(settings.pool)
        self._stop = Event()
        self._start = AsyncResult()
        self._followed = False
        self.over = Event()
        self.reason = StopReason.STOPPED
        self.complete = False
        self.failure: BaseException | None = None

    def begin(self, start: int) -> None:
        self._start.set(start)

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopping(self) -> bool:
        return bool(self._stop.is_set())

    def follow(self, user: "OpenLoopUser") -> None:
        if self._followed:  # Locust's page can ask for more users
            return
        self._followed = True
        try:
            self._offer_all(user, self._start.get(timeout=_START_WITHIN_S))
            self._stop.set()
            # each request ends by its own deadline; the rest is for this machine being busy
            self.complete = bool(self._in_flight.join(self._settings.deadline_s + 5))
            self._in_flight.kill()
        except Exception as error:  # noqa: BLE001 - Locust would log it and go on
            self._fail(error)
        finally:
            user.over()
            self.over.set()

    def _offer_all(self, user: "OpenLoopUser", start: int) -> None:
        cohorts, settings = user.cohorts(), self._settings
        mix = mixed(cohorts, settings.cohorts, settings.slow, settings.rate)
        mine = settings.worker or 0
        for slot in slots(mix, shape=settings.course, seed=settings.seed, arrivals=settings.arrivals):
            found = self._limit(slot, cohorts[slot.cohort])
            if found is not None:
                self.reason = found
                return
            if slot.number % settings.workers != mine:
                continue
            if self._stopped_before(start + slot.after_ns, slot.number // settings.workers):
                return
            self._offer(user, cohorts[slot.cohort], slot, start + slot.after_ns)

    def _limit(self, slot: Slot, cohort: Cohort) -> StopReason | None:
        if slot.after_ns >= self._settings.max_seconds * 1e9:
            return StopReason.MAX_SECONDS
        if slot.place + cohort.requests > self._settings.max_requests:
            return StopReason.MAX_REQUESTS
        return None

    def _stopped_before(self, due: int, number: int) -> bool:
        ahead = (due - time.monotonic_ns()) / 1e9
        if ahead > 0:
            return bool(self._stop.wait(ahead))
        if number % _BURST == 0:
            gevent.sleep(0)
        return bool(self._stop.is_set())

    def _offer(self, user: "OpenLoopUser", cohort: Cohort, slot: Slot, due: int) -> None:
        if self._in_flight.full():
            self._sender.no_room(slot.cohort, due)
            return
        turn = Turn(
            cohort=slot.cohort,
            due=due,
            rng=random.Random(f"turn-{self._settings.seed}-{slot.number}"),
            slow_seconds=self._settings.slow.seconds,
            sender=self._sender,
            stopping=self._stop.is_set,
            timed=cohort.timed,
        )
        self._in_flight.spawn(self._play, cohort, user, turn)

    def _play(self, cohort: Cohort, user: "OpenLoopUser", turn: Turn) -> None:
        try:
            self._sender.begins(turn.due)
            cohort.play(user, turn)
        except Exception as error:  # noqa: BLE001 - a greenlet's error would only be printed
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = self.failure or error
        self._stop.set()


class LabEnvironment(Environment):
    """Locust's environment, with the schedule that its user follows, and the events that a locustfile listens to."""

    def __init__(self, *, user_class: type["OpenLoopUser"], host: str) -> None:
        super().__init__(user_classes=[user_class], host=host, events=locust.events)
        self.loop: OpenLoop | None = None


class OpenLoopUser(User):
    """The one user that Locust starts in each process. Subclasses add cohorts."""

    abstract = True
    environment: LabEnvironment

    @classmethod
    def cohorts(cls) -> Mapping[str, Cohort]:
        return {
            name: found
            for base in reversed(cls.__mro__)
            for name, found in vars(base).items()
            if isinstance(found, Cohort)
        }

    def over(self) -> None:
        """Nothing is in flight any more."""

    @task
    def follow_the_schedule(self) -> None:
        loop = self.environment.loop
        if loop is not None:
            loop.follow(self)
        raise StopUser
