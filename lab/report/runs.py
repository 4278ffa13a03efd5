"""Several runs beside each other: all of a project in a list, or two of them figure by figure."""

from collections.abc import Iterator, Sequence
from typing import Any

from lab.proof.result import Bound, Exposure, Verdict, VerdictOutcome
from lab.report.numbers import count, millis, percent, seconds
from lab.report.table import table

HEADS = ("run", "from", "to", "rollout", "verdict", "dropped", "requests", "p50", "p99", "took")
RIGHT = frozenset({"dropped", "requests", "p50", "p99", "took"})
SCHEMA = "lab.runs/1"


def render_runs(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "no runs\n"
    return "\n".join(table(HEADS, [_row(verdict) for verdict in verdicts], right=RIGHT, indent="")) + "\n"


def render_compared(left: Verdict, right: Verdict) -> str:
    """Figures that differ are marked: what is different, not what is better."""
    pairs = zip(_figures(left), _figures(right), strict=True)
    rows = [(name, one, other, "" if one == other else "*") for (name, one), (_, other) in pairs]
    return "\n".join(table(("", left.run.run, right.run.run, ""), rows, right=frozenset(), indent="")) + "\n"


def runs_to_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "runs": [
            {
                "run": verdict.run.run,
                "from_version": verdict.run.from_version,
                "to_version": verdict.run.to_version,
                "rollout": verdict.run.rollout.value,
                "outcome": verdict.outcome.value,
                "exit_code": verdict.exit_code,
                "dropped": verdict.dropped,
                "judged": verdict.judged,
                "p50_ms": verdict.latency.p50_ms,
                "p99_ms": verdict.latency.p99_ms,
                "duration_s": verdict.run.duration_s,
            }
            for verdict in verdicts
        ],
    }


def _row(verdict: Verdict) -> tuple[str, ...]:
    run = verdict.run
    measured = verdict.outcome is not VerdictOutcome.NOT_MEASURED
    return (
        run.run,
        run.from_version,
        run.to_version,
        run.rollout.value,
        verdict.outcome.value,
        count(verdict.dropped) if measured else "-",
        count(verdict.judged) if measured else "-",
        millis(verdict.latency.p50_ms),
        millis(verdict.latency.p99_ms),
        seconds(run.duration_s),
    )


def _figures(verdict: Verdict) -> Iterator[tuple[str, str]]:
    run, bounds = verdict.run, verdict.bounds
    yield "verdict", verdict.outcome.value
    yield "rollout", f"{run.rollout.value}{f': {run.reason}' if run.reason else ''}"
    yield "versions", f"{run.from_version} -> {run.to_version}"
    yield "took", seconds(run.duration_s)
    yield "requests", count(verdict.judged)
    yield "dropped", count(verdict.dropped)
    yield "by class", ", ".join(f"{count(n)} {cls}" for cls, n in verdict.dropped_by_class.items()) or "-"
    yield "masked", count(verdict.masked)
    yield "cut", count(verdict.cut)
    yield "p50", millis(verdict.latency.p50_ms)
    yield "p99", millis(verdict.latency.p99_ms)
    yield "answered by", ", ".join(f"{version} {count(n)}" for version, n in verdict.versions.items()) or "-"
    yield "exposed requests", count(sum(swap.exposed or 0 for swap in verdict.exposure))
    yield "swaps", f"{count(len(verdict.exposure))}{_unexposed(verdict.exposure)}"
    yield "at most, of requests", _at_most(bounds.run)
    yield "at most, of exposed", _at_most(bounds.exposed)
    yield "latency", "-" if verdict.comparison is None else verdict.comparison.outcome.value


def _unexposed(swaps: Sequence[Exposure]) -> str:
    idle = sum(swap.unexposed is True for swap in swaps)
    return f" ({idle} unexposed)" if idle else ""


def _at_most(bound: Bound | None) -> str:
    return "-" if bound is None else percent(bound.at_most)
