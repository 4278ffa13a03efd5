"""The report as one file that needs nothing else: no script, no font, no picture from anywhere."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from lab.proof.result import Bound, Verdict, VerdictOutcome
from lab.report.blocks import exit_words
from lab.report.chart import letter, timeline_chart
from lab.report.details import HEADS, RIGHT, change_heads, change_rows, comparison_line, exposure_rows
from lab.report.headline import mark_of, went
from lab.report.intervals import intervals_chart
from lab.report.marks import UNICODE
from lab.report.mixes import PAIR_HEADS, PAIR_RIGHT, mix_rows, pair_rows
from lab.report.model import Report
from lab.report.numbers import count, many, millis, percent, seconds, share
from lab.report.story import in_full
from lab.report.style import CSS

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
SHORT = 8
"""A column with so short a head holds words and numbers, which are not broken."""
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title><style>{css}</style></head><body><main>
"""


def render_html(report: Report) -> str:
    verdict = report.verdict
    run = verdict.run
    title = f"{_claim(verdict)}: {went(run)}"
    parts = [
        HEAD.format(policy=POLICY, title=escape(title), css=CSS),
        *_verdict(report),
        *_tiles(report),
        *_why(verdict),
        *_timeline(report),
        *_drops(report),
        *_pairs(verdict),
        *_swaps(verdict),
        '<div class="columns">',
        *_latency(verdict),
        *_notes(verdict),
        *_again(report),
        *_settings(report),
        "</div>",
        *_figures(report),
        f"<footer>{escape(run.run)} of project {escape(run.project)}</footer></main></body></html>",
    ]
    return "\n".join(parts) + "\n"


# what everybody reads


def _claim(verdict: Verdict) -> str:
    match verdict.outcome:
        case VerdictOutcome.PASS | VerdictOutcome.FAIL:
            return f"{count(verdict.dropped)} dropped"
        case VerdictOutcome.INCONCLUSIVE:
            return "No verdict"
        case VerdictOutcome.NOT_MEASURED:
            return "Not measured"


def _tone(verdict: Verdict) -> str:
    if verdict.exit_code == 0 and verdict.outcome is VerdictOutcome.PASS:
        return "good"
    return "bad" if verdict.outcome is VerdictOutcome.FAIL or verdict.exit_code == 1 else "open"


def _verdict(report: Report) -> Iterator[str]:
    verdict = report.verdict
    cut = f", {count(verdict.cut)} cut in order" if verdict.cut else ""
    requests = f"{many(verdict.judged, 'request')}{cut}"
    match verdict.outcome:
        case VerdictOutcome.NOT_MEASURED:
            of = "There was no load. "
        case VerdictOutcome.INCONCLUSIVE:
            of = f"No drop seen in {requests}, which proves nothing. "
        case _:
            of = f"of {requests}. "
    why = f" - {verdict.run.reason}" if verdict.run.reason else ""
    yield f'<header class="card verdict {_tone(verdict)}">'
    yield f'<div class="mark" aria-hidden="true">{mark_of(verdict, UNICODE)}</div><div>'
    yield f"<h1>{_claim(verdict)}</h1>"
    yield f'<p class="went">{escape(of)}{escape(went(verdict.run))}{escape(why)}</p>'
    yield f'<p class="when">{escape(report.wall)}{" UTC" if report.wall else ""}</p></div></header>'


def _tiles(report: Report) -> Iterator[str]:
    verdict = report.verdict
    named = [
        ("dropped of all requests", verdict.bounds.run),
        ("dropped of those exposed", verdict.bounds.exposed),
        ("rolls that drop any", verdict.bounds.rolls),
    ]
    tiles = [_bound_tile(name, bound) for name, bound in named if bound is not None]
    if verdict.latency.p50_ms is not None:
        samples = f"of {many(verdict.latency.samples, 'answer')}"
        tiles += [("median latency", millis(verdict.latency.p50_ms), samples)]
        tiles += [("99th percentile", millis(verdict.latency.p99_ms), "from the due time")]
    tiles += [(f"answered by {s.version}", share(s.share), many(s.answers, "answer")) for s in report.shares]
    if tiles:
        yield '<dl class="tiles">'
        for name, value, small in tiles:
            told = f"{escape(value)}<small>{escape(small)}</small>"
            yield f'<div class="tile"><dt>{escape(name)}</dt><dd>{told}</dd></div>'
        yield "</dl>"


def _bound_tile(name: str, bound: Bound) -> tuple[str, str, str]:
    return name, f"\u2264 {percent(bound.at_most)}", f"95% sure; seen: {count(bound.dropped)} of {count(bound.of)}"


def _why(verdict: Verdict) -> Iterator[str]:
    failure = verdict.run.failure
    if failure is not None:
        told = [("what", failure.what), ("where", failure.where), ("do", failure.fix), ("more", failure.more)]
        yield '<section class="card"><h2>Why the rollout did not reach its goal</h2><dl class="told">'
        yield from (f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told if text)
        if failure.log:
            lines = escape("\n".join(failure.log))
            yield f"<dt>log</dt><dd><pre>{lines}</pre></dd>"
        yield "</dl></section>"
    if verdict.reasons:
        yield '<section class="card"><h2>What is in doubt</h2><ul class="plain">'
        for reason in verdict.reasons:
            yield f'<li>{escape(reason.message)}<div class="do">{escape(reason.fix)}</div></li>'
        yield "</ul></section>"


def _timeline(report: Report) -> Iterator[str]:
    chart = timeline_chart(report.timeline, report.verdict.run)
    if not chart:
        return
    yield f'<section class="card"><h2>The run, second by second</h2><figure>{chart}</figure>'
    if report.timeline.moments:
        yield '<ul class="moments">'
        for number, moment in enumerate(report.timeline.moments):
            yield f"<li><b>{letter(number)}</b>{seconds(moment.at_s)} {escape(moment.what)}</li>"
        yield "</ul>"
    yield "</section>"


def _drops(report: Report) -> Iterator[str]:
    if not report.stories:
        return
    rows = [(s.code, s.cls.value, count(s.count), in_full(s.first)) for s in report.stories]
    yield '<section class="card"><h2>Dropped requests, and the first of each class</h2>'
    yield from _table(("", "class", "count", "its story"), rows, right=frozenset({"count"}))
    for death in report.verdict.deaths:
        if not death.expected:
            dropped = ", ".join(f"{count(n)} {cls}" for cls, n in death.dropped_by_class.items()) or "nothing"
            told = f"{death.replica} died at {seconds(death.when_s)}: {exit_words(death)}; dropped on it: {dropped}"
            yield f"<p>{escape(told)}</p>"
    for what, fix in mix_rows(report.verdict):
        yield f"<p>{escape(what)}<br><b>fix</b> {escape(fix)}</p>"
    yield "</section>"


# what experts read


def _pairs(verdict: Verdict) -> Iterator[str]:
    if verdict.pairs:
        yield '<section class="card"><h2>What was read of whose writes</h2>'
        yield from _table(PAIR_HEADS, pair_rows(verdict), right=PAIR_RIGHT)
        yield "</section>"


def _swaps(verdict: Verdict) -> Iterator[str]:
    if verdict.exposure:
        yield '<section class="card"><h2>Swaps, and what each put at risk</h2>'
        yield from _table(HEADS, exposure_rows(verdict.exposure), right=RIGHT)
        yield (
            '<p class="muted">Exposed: requests that the replica had from 0.2 s before it was retired until 0.2 s after'
            " it was stopped. A swap with none in flight proves nothing.</p></section>"
        )


def _latency(verdict: Verdict) -> Iterator[str]:
    comparison = verdict.comparison
    if comparison is None:
        return
    line = escape(comparison_line(comparison))
    yield f'<section class="card"><h2>Latency: {escape(comparison.new)} against {escape(comparison.old)}</h2>'
    yield f'<p class="lead">{line}.</p>'
    if comparison.changes:
        yield f"<figure>{intervals_chart(comparison)}</figure>"
        yield from _table(change_heads(comparison), change_rows(comparison))
        yield '<p class="muted">Only instants are compared in which both versions answered enough requests.</p>'
    yield "</section>"


def _notes(verdict: Verdict) -> Iterator[str]:
    if verdict.notes:
        yield '<section class="card"><h2>Notes</h2><ul class="plain">'
        yield from (f"<li>{escape(note)}</li>" for note in verdict.notes)
        yield "</ul></section>"


def _settings(report: Report) -> Iterator[str]:
    if report.settings:
        yield '<section class="card"><h2>Settings</h2>'
        rows = [(setting.name, setting.value, setting.origin) for setting in report.settings]
        yield from _table(("setting", "value", "from"), rows)
        yield "</section>"


def _again(report: Report) -> Iterator[str]:
    yield '<section class="card"><h2>The same again</h2>'
    yield f"<pre>{escape(report.command)}</pre></section>"


def _figures(report: Report) -> Iterator[str]:
    found = report.timeline.seconds
    versions = sorted({version for second in found for version in second.answered})
    if not found:
        return
    heads = ("second", "offered", *versions, "p50", "p99", "dropped", "serving")
    rows = [
        (
            str(second.at),
            count(second.offered),
            *(count(second.answered.get(version, 0)) for version in versions),
            millis(second.p50_ms),
            millis(second.p99_ms),
            count(second.dropped),
            ", ".join(f"{number} {version}" for version, number in second.ready.items()) or "none",
        )
        for second in found
    ]
    yield '<details class="long"><summary>The figures of the timeline</summary><div class="card">'
    yield from _table(heads, rows, right=frozenset(heads[:-1]))
    yield "</div></details>"


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[str] = frozenset()
) -> Iterator[str]:
    classes = [' class="n"' if head in right else "" for head in heads]
    keys = [' class="k"' if len(head) <= SHORT and not cls else cls for head, cls in zip(heads, classes, strict=True)]
    yield '<div class="wide"><table><thead><tr>'
    yield from (f'<th scope="col"{cls}>{escape(head)}</th>' for head, cls in zip(heads, classes, strict=True))
    yield "</tr></thead><tbody>"
    for row in rows:
        cells = (f"<td{cls}>{escape(cell)}</td>" for cell, cls in zip(row, keys, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"
