"""PURE. What a row of readiness probes says about a replica."""

from dataclasses import dataclass, replace

from proxy.transitions import HEALTH, Finding, Health


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
    """Nothing is up before a probe has passed."""

    passes: int = 0
    failures: int = 0
    passing_since_ns: int | None = None
    proven: bool = False
    health: Health = Health.EJECTED


def judge(standing: Standing, readiness: Readiness, *, ok: bool, now_ns: int) -> Standing:
    if ok:
        since = now_ns if standing.passing_since_ns is None else standing.passing_since_ns
        passes = standing.passes + 1
        return Standing(
            passes=passes,
            passing_since_ns=since,
            proven=passes >= readiness.passes and now_ns - since >= readiness.min_ready_ms * 1_000_000,
            health=HEALTH[Finding.PASS, standing.health],
        )
    failures = standing.failures + 1
    ejects = failures >= readiness.fails
    return replace(
        standing,
        passes=0,
        passing_since_ns=None,
        proven=False,
        failures=failures,
        health=HEALTH[Finding.FAILURES, standing.health] if ejects else standing.health,
    )


def verdict_on(readiness: Readiness, replica: str, *, status: int, identity: str | None) -> str:
    """Return why an answer does not prove the replica ready, or nothing when it does."""
    if readiness.identity and identity != replica:
        return f"the answer is from {identity or 'nobody named'}, not from {replica} (header X-Lab-Replica)"
    if status != 200:  # noqa: PLR2004  the one status that means ready
        return f"status {status}, not 200"
    return ""


def pause_ms(standing: Standing, readiness: Readiness) -> int:
    return readiness.interval_ms if standing.proven else readiness.fast_interval_ms
