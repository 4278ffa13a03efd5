"""PURE. What a row of readiness probes, and of connection errors, says about a replica."""

from dataclasses import dataclass, replace

from proxy.transitions import HEALTH, Finding, Health

_FAST_PROBES, _SLOWER, _SLOWEST = 20, 1.05, 200
"""So many failed probes are followed at once by another, and each one after them by a longer pause; up to so many."""
_WATCHED = 10
"""So many probes make up min-ready, and as many an interval while one that was up fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    path: str
    passes: int
    min_ready_ms: int
    interval_ms: int
    fast_interval_ms: int
    timeout_ms: int
    fails: int
    identity: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One readiness probe, as the proxy saw it; `error` is why, when it failed."""

    t: int
    ok: bool
    status: int | None
    body: str
    elapsed_ms: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Nothing is up before a probe has passed. `errors` are of connections in a row, whoever made them.

    `relapses`: how often a failed probe came after one that had passed. `falls`: how often it was ejected.
    """

    passes: int = 0
    failures: int = 0
    passing_since_ns: int | None = None
    proven: bool = False
    health: Health = Health.UNPROVEN
    ejected_by: str | None = None
    errors: int = 0
    ejections: int = 0
    out_until_ns: int = 0
    relapses: int = 0
    falls: int = 0
    ejected_ns: int | None = None


def judge(standing: Standing, readiness: Readiness, *, ok: bool, now_ns: int) -> Standing:
    """Return the standing after a probe. A pass does not end the time a replica is out for connection errors."""
    if ok:
        since = now_ns if standing.passing_since_ns is None else standing.passing_since_ns
        passes = standing.passes + 1
        out = standing.ejected_by == "errors" and now_ns < standing.out_until_ns
        return replace(
            standing,
            passes=passes,
            failures=0,
            passing_since_ns=since,
            proven=passes >= readiness.passes and now_ns - since >= readiness.min_ready_ms * 1_000_000,
            health=standing.health if out else HEALTH[Finding.PASS, standing.health],
            ejected_by=standing.ejected_by if out else None,
            ejected_ns=standing.ejected_ns if out else None,
            errors=standing.errors if out else 0,
        )
    failures = standing.failures + 1
    health = HEALTH[Finding.FAILURES, standing.health] if failures >= readiness.fails else standing.health
    return replace(
        _fallen(standing, now_ns) if health is Health.EJECTED else standing,
        passes=0,
        relapses=standing.relapses + (standing.passes > 0),
        passing_since_ns=None,
        proven=False,
        failures=failures,
        health=health,
        ejected_by=(standing.ejected_by or "probe") if health is Health.EJECTED else None,
    )


def errored(standing: Standing, *, limit: int, out_ns: int, now_ns: int) -> Standing:
    """Return the standing after one more connection error: at the limit it is out, longer each time."""
    errors = standing.errors + 1
    if errors < limit or standing.ejected_by == "errors":
        return replace(standing, errors=errors)
    ejections = standing.ejections + 1
    return replace(
        _fallen(standing, now_ns),
        errors=errors,
        ejections=ejections,
        out_until_ns=now_ns + out_ns * ejections,
        health=HEALTH[Finding.ERRORS, standing.health],
        ejected_by="errors",
    )


def _fallen(standing: Standing, now_ns: int) -> Standing:
    if standing.health is Health.EJECTED:
        return standing
    return replace(standing, falls=standing.falls + 1, ejected_ns=now_ns)


def verdict_on(readiness: Readiness, replica: str, *, status: int, identity: str | None) -> str:
    """Return why an answer does not prove the replica ready, or nothing when it does."""
    if readiness.identity and identity != replica:
        return f"the answer is from {identity or 'nobody named'}, not from {replica} (header X-Lab-Replica)"
    if status != 200:  # noqa: PLR2004  the one status that means ready
        return f"status {status}, not 200"
    return ""


def pause_ms(standing: Standing, readiness: Readiness) -> int:
    """Return how long to wait for the next probe: short until proven, and while it is not up.

    Who fails for long is asked less and less often: it is noticed late by a small part of the time that it took.
    """
    fast, slow = readiness.fast_interval_ms, readiness.interval_ms
    if standing.health is Health.UP:
        if standing.proven:
            return slow
        # the last of them is past min-ready, not just before it; and a moment's failures are no row of failures
        watching = readiness.min_ready_ms // _WATCHED + 1 if standing.passes else slow // _WATCHED
        return max(fast, min(watching, slow))
    slower = _SLOWER ** min(max(standing.failures - _FAST_PROBES, 0), _SLOWEST)
    return max(fast, int(min(fast * slower, slow)))
