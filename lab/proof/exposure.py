"""What each swap put at risk: the requests that were under way to a replica while it was retired and stopped."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lab.proof.join import Joined
from lab.proof.records import RunFacts, Step, Swap
from lab.proof.result import Exposure, Reason

AROUND_NS = 200_000_000
"""A request so near to a swap may have met a table, a connection or a socket in the middle of its change."""
MOST_UNEXPOSED = 0.2
_LONGER = "the slow cohort"
_LONGER_PATH = "have the load ask for something that takes a while, lab up --paths /,/report"


@dataclass(slots=True)
class _Window:
    """When a replica was retired and when it was stopped, as the journal tells it."""

    swap: Swap
    retire: Step
    stop: Step | None
    error: int = 0
    under_way: int = 0
    undecided: int = 0
    near: int = 0
    exposed: int = 0
    dropped: int = 0

    @property
    def begins(self) -> int:
        return self.retire.start_ns - AROUND_NS

    @property
    def ends(self) -> int:
        return (self.stop or self.retire).end_ns + AROUND_NS

    def take(self, begun: int, over: int | None, *, dropped: bool) -> bool:
        """Count the request if it was exposed to this swap; say whether it was."""
        if not _meets(begun, over, self.begins, self.ends):
            return False
        self.exposed += 1
        self.dropped += dropped
        self._decide(begun, over)
        self.near += self._is_near(begun, over)
        return True

    def _decide(self, begun: int, over: int | None) -> None:
        """It was under way as the replica was retired only if it was so however wrong the clocks are."""
        since, until, error = self.retire.start_ns, self.retire.end_ns, self.error
        if not _meets(begun, over, since - error, until + error):
            return
        sure = begun <= until - error and (over is None or over >= since + error)
        self.under_way += sure
        self.undecided += not sure

    def _is_near(self, begun: int, over: int | None) -> bool:
        moments = [(self.retire.start_ns, self.retire.end_ns)]
        moments += [(self.stop.start_ns, self.stop.start_ns)] if self.stop else []
        return any(_meets(begun, over, since - AROUND_NS, until + AROUND_NS) for since, until in moments)

    def exposure(self, *, measured: bool) -> Exposure:
        told = exposure_of(self.swap)
        if not measured:
            return told
        return Exposure(
            replica=told.replica,
            version=told.version,
            in_flight_at_retire=told.in_flight_at_retire,
            in_flight_at_stop=told.in_flight_at_stop,
            exit_code=told.exit_code,
            oom=told.oom,
            under_way=self.under_way,
            near=self.near,
            exposed=self.exposed,
            dropped=self.dropped,
            unexposed=not (self.under_way or told.in_flight_at_retire),
            undecided=self.undecided,
        )


@dataclass(slots=True)
class ExposureCount:
    """Fed with every request. `exposed` counts each once, however many swaps it met."""

    facts: RunFacts
    exposed: int = 0
    dropped: int = 0
    windows: Mapping[str, _Window] = field(init=False)

    def __post_init__(self) -> None:
        self.windows = {window.swap.replica: window for window in _windows(self.facts)}

    def take(self, joined: Joined, *, dropped: bool) -> None:
        if not self.windows:
            return
        attempts = joined.attempts
        if attempts and len(attempts) == 1:  # nearly all are so, and there are a million of them
            window = self.windows.get(attempts[0].replica)
            until = None if joined.end is None else joined.end.t
            met = window is not None and window.take(attempts[0].begun, until, dropped=dropped)
        else:
            met = sum(window.take(begun, over, dropped=dropped) for window, begun, over in self._meetings(joined)) > 0
        if met:
            self.exposed += 1
            self.dropped += dropped

    def table(self, *, measured: bool) -> tuple[Exposure, ...]:
        return tuple(
            self.windows[swap.replica].exposure(measured=measured)
            if swap.replica in self.windows
            else exposure_of(swap)
            for swap in self.facts.swaps
        )

    def _meetings(self, joined: Joined) -> Iterator[tuple[_Window, int, int | None]]:
        over = None if joined.end is None else joined.end.t
        if not joined.attempts:
            # no replica was asked: it may be so just because this one went
            yield from ((window, joined.offer.t, over) for window in self.windows.values())
            return
        last: dict[str, tuple[int, int | None]] = {}
        following = [attempt.begun for attempt in joined.attempts[1:]]
        for attempt, until in zip(joined.attempts, [*following, over], strict=True):
            begun = last.get(attempt.replica, (attempt.begun, None))[0]
            last[attempt.replica] = (begun, until)
        for replica, (begun, until) in last.items():
            if replica in self.windows:
                yield self.windows[replica], begun, until


def exposure_of(swap: Swap) -> Exposure:
    """What the journal alone knows."""
    return Exposure(
        replica=swap.replica,
        version=swap.version,
        in_flight_at_retire=swap.in_flight_at_retire,
        in_flight_at_stop=swap.in_flight_at_stop,
        exit_code=swap.exit_code,
        oom=swap.oom,
    )


def unexposed_doubt(table: Iterable[Exposure], *, ledger: bool = True) -> Iterator[Reason]:
    """A swap that nothing could be dropped at proves nothing."""
    measured = [swap for swap in table if swap.unexposed is not None]
    idle = [swap.replica for swap in measured if swap.unexposed]
    if len(idle) > MOST_UNEXPOSED * len(measured):
        yield Reason(
            id="unexposed-swaps",
            message=f"nothing was in flight on {len(idle)} of {len(measured)} replicas as they were retired"
            f" ({', '.join(idle)}), so nothing could be dropped there",
            fix=f"offer more: --rate; or let requests last longer: {_LONGER if ledger else _LONGER_PATH}",
        )


def _windows(facts: RunFacts) -> Iterator[_Window]:
    for swap in facts.swaps:
        own = sorted((step for step in facts.steps if step.replica == swap.replica), key=lambda step: step.start_ns)
        names = {step.name for step in own}
        if "retire" not in names or ("create" in names and "admit" not in names):
            continue  # it never had a request
        retire = [step for step in own if step.name == "retire"][-1]
        stops = (step for step in own if step.name == "stop" and step.start_ns >= retire.start_ns)
        yield _Window(swap=swap, retire=retire, stop=next(stops, None), error=facts.clock_error_ns or 0)


def _meets(begun: int, over: int | None, since: int, until: int) -> bool:
    return begun <= until and (over is None or over >= since)
