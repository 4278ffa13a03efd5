"""The report for a pull request or a step's summary: the outcome first, details folded."""

from collections.abc import Iterator, Sequence

from lab.report.details import (
    HEADS,
    bound_rows,
    change_heads,
    change_rows,
    comparison_line,
    exposure_rows,
)
from lab.report.headline import headline
from lab.report.marks import UNICODE
from lab.report.mixes import PAIR_HEADS, mix_rows, pair_rows
from lab.report.model import Report
from lab.report.numbers import count, millis
from lab.report.story import in_full
from lab.report.text import render_text


def render_markdown(report: Report) -> str:
    verdict = report.verdict
    blocks = [
        f"### {_plain(headline(verdict, UNICODE))}",
        *(f"- {_plain(reason.message)}: {_plain(reason.fix)}" for reason in verdict.reasons),
        *_drops(report),
        *_table(("versions and schema", "what to do"), list(mix_rows(verdict))),
        *_table(("with 95% confidence", "dropped at most", "seen"), bound_rows(verdict.bounds)),
        *([f"{_plain(comparison_line(verdict.comparison))}"] if verdict.comparison else []),
        *_folded("The whole verdict", f"```text\n{_fenced(render_text(verdict))}\n```"),
        *_section("What was read of whose writes", PAIR_HEADS, pair_rows(verdict)),
        *_section("Swaps and what each put at risk", HEADS, exposure_rows(verdict.exposure)),
        *_latency(report),
        *_section("Second by second", _heads(report), _seconds(report)),
        *_section("Settings", ("setting", "value", "from"), [(s.name, s.value, s.origin) for s in report.settings]),
        f"Again: `{report.command.translate(BACKTICKS)}`",
    ]
    return "\n\n".join(blocks) + "\n"


def _drops(report: Report) -> Iterator[str]:
    if report.stories:
        rows = [(s.code, s.cls.value, count(s.count), in_full(s.first)) for s in report.stories]
        yield from _table(("", "class", "dropped", "the first of them"), rows)


def _latency(report: Report) -> Iterator[str]:
    comparison = report.verdict.comparison
    if comparison and comparison.changes:
        yield from _section("Latency in the same instants", change_heads(comparison), change_rows(comparison))


def _versions(report: Report) -> list[str]:
    return sorted({version for second in report.timeline.seconds for version in (*second.answered, *second.ready)})


def _heads(report: Report) -> tuple[str, ...]:
    return ("second", "offered", *_versions(report), "p50", "p99", "dropped", "ready")


def _seconds(report: Report) -> list[tuple[str, ...]]:
    return [
        (
            str(second.at),
            count(second.offered),
            *(count(second.answered.get(version, 0)) for version in _versions(report)),
            millis(second.p50_ms),
            millis(second.p99_ms),
            count(second.dropped),
            ", ".join(f"{number} {version}" for version, number in second.ready.items()) or "0",
        )
        for second in report.timeline.seconds
    ]


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    table = "\n".join(_table(heads, rows))
    if table:
        yield from _folded(title, table)


def _folded(title: str, text: str) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        lines = [heads, ["---"] * len(heads), *rows]
        yield "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _fenced(text: str) -> str:
    return text.rstrip("\n").replace("```", "'''")


def _plain(text: str) -> str:
    """What an app or a server wrote must not become markup."""
    return " ".join(text.split()).translate(ESCAPES)


ESCAPES = str.maketrans({"|": r"\|", "<": "&lt;", ">": "&gt;", "`": "'", "*": r"\*", "[": r"\[", "]": r"\]"})
BACKTICKS = str.maketrans("`", "'")
