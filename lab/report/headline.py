"""The one line that says how it went."""

from lab.proof.records import Outcome
from lab.proof.result import RunEcho, Verdict, VerdictOutcome
from lab.report.marks import Marks
from lab.report.numbers import count, many, millis, seconds

WORDS = {
    Outcome.DONE: "done in",
    Outcome.ROLLED_BACK: "rolled back after",
    Outcome.FAILED: "failed after",
    Outcome.ABORTED: "aborted after",
    Outcome.PAUSED: "paused after",
    Outcome.PAUSED_ENVIRONMENT: "paused after",
    Outcome.INTERRUPTED: "interrupted after",
}


def headline(verdict: Verdict, marks: Marks) -> str:
    return f"{mark_of(verdict, marks)} {went(verdict.run)} - {_told(verdict)}"


def mark_of(verdict: Verdict, marks: Marks) -> str:
    if verdict.outcome is VerdictOutcome.FAIL or verdict.exit_code == 1:
        return marks.bad
    if verdict.run.rollout in {Outcome.PAUSED_ENVIRONMENT, Outcome.INTERRUPTED}:
        return marks.stopped
    return marks.unknown if verdict.outcome is VerdictOutcome.INCONCLUSIVE else marks.good


def went(run: RunEcho) -> str:
    if run.rollout is Outcome.NONE:
        return f"{run.from_version} watched for {seconds(run.duration_s)}"
    return f"{run.from_version} -> {run.to_version} {WORDS[run.rollout]} {seconds(run.duration_s)}"


def _told(verdict: Verdict) -> str:
    reached = verdict.run.rollout in {Outcome.DONE, Outcome.NONE}
    why = "" if reached or not verdict.run.reason else verdict.run.reason
    match verdict.outcome:
        case VerdictOutcome.FAIL:
            dropped = f"{count(verdict.dropped)} dropped of {many(verdict.judged, 'request')}{_cut(verdict)}"
            return f"{dropped}, and {why}" if why else dropped + _latency(verdict)
        case VerdictOutcome.PASS:
            if why:
                return f"0 dropped, but {why}"
            return f"0 dropped of {many(verdict.judged, 'request')}{_cut(verdict)}{_latency(verdict)}"
        case VerdictOutcome.INCONCLUSIVE:
            none = f"no verdict: no drop seen in {many(verdict.judged, 'request')}, which proves nothing"
            return f"{why}; {none}" if why else none
        case VerdictOutcome.NOT_MEASURED:
            return f"{why}; drops not measured" if why else "drops not measured: there was no load"


def _cut(verdict: Verdict) -> str:
    return f", {count(verdict.cut)} cut" if verdict.cut else ""


def _latency(verdict: Verdict) -> str:
    if verdict.latency.p50_ms is None:
        return ""
    return f" (p50 {millis(verdict.latency.p50_ms)}, p99 {millis(verdict.latency.p99_ms)})"
