"""What a restart of the proxy in the middle of a run cost."""

from collections import Counter
from collections.abc import Iterable

from lab.proof.join import Joined
from lab.proof.reasons import LEFT
from lab.proof.records import ClientOutcome, Restart, RunFacts
from lab.proof.result import ProxyRestart

AFTERMATH_NS = 1_000_000_000
"""What comes so soon after the proxy's return may find no replica that was probed since."""

BROKEN = frozenset({ClientOutcome.REFUSED, ClientOutcome.RESET, ClientOutcome.TRUNCATED, ClientOutcome.TIMEOUT})
UNPROBED = frozenset({"no-ready-replica", "hold-full", "hold-timeout"})


def restart_behind(joined: Joined, restarts: Iterable[Restart]) -> Restart | None:
    """The restart that a dropped request was in flight at, or was refused around."""
    return next((restart for restart in restarts if _met(joined, restart) and _cost(joined, restart)), None)


def summarize_restarts(
    facts: RunFacts, restarts: Iterable[Restart], dropped: Counter[Restart], unwritten: Counter[Restart]
) -> tuple[ProxyRestart, ...]:
    return tuple(
        ProxyRestart(
            when_s=round((restart.t - facts.started_ns) / 1e9, 3),
            dropped=dropped[restart],
            unwritten=unwritten[restart],
        )
        for restart in restarts
    )


def _met(joined: Joined, restart: Restart) -> bool:
    """When the proxy ended no one says; it took requests until the last that it began, and none before its return."""
    end = joined.end
    return end is not None and end.t > restart.begun_until and joined.offer.t <= restart.t + AFTERMATH_NS


def _cost(joined: Joined, restart: Restart) -> bool:
    """The proxy has not told of another end itself."""
    if joined.end is None or joined.attempts is None:
        return False
    if joined.end.outcome in BROKEN:
        answered = any(reject.reason != LEFT for reject in joined.rejects)
        return not answered and (not joined.attempts or joined.attempts[-1].result is None)
    if joined.end.outcome is ClientOutcome.SERVER_ERROR:
        return any(reject.t >= restart.t and reject.reason in UNPROBED for reject in joined.rejects)
    return False
