"""The verdict as JUnit's XML: two cases, the figures as properties."""

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from lab.proof.records import Outcome
from lab.proof.result import Verdict, VerdictOutcome
from lab.report.model import Report
from lab.report.text import render_text

NOT_XML = re.compile("[^\\t\\n\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ROLLED, KEPT = "the rollout reached its goal", "no request was dropped"


def render_junit(report: Report) -> str:
    verdict = report.verdict
    cases = [_rolled(report), _kept(report)]
    failures, errors, skipped = (sum(f"<{tag} " in case for case in cases) for tag in ("failure", "error", "skipped"))
    name = _value(f"lab {verdict.run.command} {verdict.run.from_version} -> {verdict.run.to_version}")
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    when = f" timestamp={quoteattr(report.wall.replace(' ', 'T'))}" if report.wall else ""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {counts}>",
        f'  <testsuite name={name} {counts} time="{verdict.run.duration_s:.3f}"{when}>',
        "    <properties>",
        *(f"      <property name={_value(name)} value={_value(value)}/>" for name, value in properties(report)),
        "    </properties>",
        *cases,
        f"    <system-out>{_text(render_text(verdict, details=True))}</system-out>",
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def properties(report: Report) -> Iterator[tuple[str, object]]:
    """Every figure of the verdict under one name; what is not known is left out."""
    verdict = report.verdict
    yield "run", verdict.run.run
    yield "outcome", verdict.outcome.value
    yield "rollout", verdict.run.rollout.value
    yield "exit_code", verdict.exit_code
    for name in ("offered", "judged", "answered_ok", "dropped", "masked", "open", "not_sent", "cut", "slow"):
        yield name, getattr(verdict, name)
    yield from ((f"dropped.{cls.value}", number) for cls, number in verdict.dropped_by_class.items())
    yield from ((f"answered.{version}", number) for version, number in verdict.versions.items())
    for pair in verdict.pairs:
        yield f"read.{pair.writer}.{pair.reader}", pair.read
    for mix in verdict.mixes:
        yield f"mix.{mix.fault}.{mix.writer or 'unknown'}.{mix.reader}.{mix.phase.replace(' -> ', '-')}", mix.count
    yield from _latency(verdict)
    bounds = {"run": verdict.bounds.run, "exposed": verdict.bounds.exposed, "rolls": verdict.bounds.rolls}
    for name, bound in bounds.items():
        if bound is not None:
            yield from ((f"bound.{name}", bound.at_most), (f"bound.{name}.of", bound.of))
    yield "swaps", len(verdict.exposure)
    yield "swaps.unexposed", sum(swap.unexposed is True for swap in verdict.exposure)
    yield "command", report.command


def _latency(verdict: Verdict) -> Iterator[tuple[str, object]]:
    if verdict.latency.p50_ms is not None:
        yield from (("latency.p50_ms", verdict.latency.p50_ms), ("latency.p99_ms", verdict.latency.p99_ms))
    if verdict.comparison is not None:
        yield "latency.comparison", verdict.comparison.outcome.value
        for change in verdict.comparison.changes:
            yield f"latency.p{change.percent}.ratio", change.ratio
            yield f"latency.p{change.percent}.low", change.low
            yield f"latency.p{change.percent}.high", change.high


def _rolled(report: Report) -> str:
    run = report.verdict.run
    if run.rollout in {Outcome.DONE, Outcome.NONE}:
        return _case(ROLLED, run.duration_s, "")
    failure = run.failure
    text = "" if failure is None else "\n".join([failure.what, failure.where, *failure.log, failure.fix])
    return _case(ROLLED, run.duration_s, _ended("failure", run.rollout.value, run.reason, text))


def _kept(report: Report) -> str:
    verdict = report.verdict
    reasons = "; ".join(reason.message for reason in verdict.reasons)
    match verdict.outcome:
        case VerdictOutcome.FAIL:
            message = f"{verdict.dropped} dropped of {verdict.judged} requests"
            ended = _ended("failure", "dropped", message, render_text(verdict))
        case VerdictOutcome.INCONCLUSIVE:
            ended = _ended("error", "inconclusive", reasons, "\n".join(reason.fix for reason in verdict.reasons))
        case VerdictOutcome.NOT_MEASURED:
            ended = _ended("skipped", "", "there was no load", "")
        case _:
            ended = ""
    return _case(KEPT, 0.0, ended)


def _case(name: str, seconds: float, ended: str) -> str:
    return f'    <testcase classname="lab" name={quoteattr(name)} time="{seconds:.3f}">{ended}</testcase>'


def _ended(tag: str, type: str, message: str, text: str) -> str:
    about = f" type={quoteattr(type)}" if type else ""
    return f"<{tag} message={_value(message)}{about}>{_text(text)}</{tag}>"


def _value(value: object) -> str:
    return quoteattr(_printable(str(value)))


def _text(text: str) -> str:
    return escape(_printable(text))


def _printable(text: str) -> str:
    """XML has no way to write most control characters, not even escaped; logs of apps hold them."""
    return NOT_XML.sub("\ufffd", text)
