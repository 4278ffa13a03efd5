"""The verdict as people see it at the end of a roll, and again with `lab report`. Plain text, no colour."""

from lab.proof.result import Verdict
from lab.report.blocks import (
    blast_block,
    breakages_block,
    deaths_block,
    doubts_block,
    drops_block,
    failure_block,
    notes_block,
)
from lab.report.headline import headline
from lab.report.marks import ASCII, UNICODE
from lab.report.numbers import count
from lab.report.table import table


def render_text(verdict: Verdict, *, data: str | None = None, ascii_only: bool = False, details: bool = False) -> str:
    """`data` is the run's folder as the caller names it; `details` adds versions and exposure."""
    blocks = [
        failure_block(verdict.run.failure) + blast_block(verdict.blast),
        drops_block(verdict.drops),
        breakages_block(verdict.schema_breakages),
        deaths_block(verdict.deaths),
        doubts_block(verdict) + notes_block(verdict),
        *([_versions(verdict), _exposure(verdict)] if details else []),
    ]
    shown = [block for block in blocks if block]
    lines = [headline(verdict, ASCII if ascii_only else UNICODE)]
    for block in shown:
        lines += ["", *block]
    if shown:
        lines.append("")
    folder = data or f".lab/{verdict.run.project}/runs/{verdict.run.run}"
    lines.append(f"  report: lab report     data: {folder}")
    return "\n".join(lines) + "\n"


def _versions(verdict: Verdict) -> list[str]:
    return [f"  answered by {version}: {count(answers)}" for version, answers in verdict.versions.items()]


def _exposure(verdict: Verdict) -> list[str]:
    if not verdict.exposure:
        return []
    rows = [
        (
            swap.replica,
            swap.version,
            _known(swap.in_flight_at_retire),
            _known(swap.in_flight_at_stop),
            _known(swap.exit_code) + (" (out of memory)" if swap.oom else ""),
        )
        for swap in verdict.exposure
    ]
    heads = ("replica", "version", "in flight at retire", "at stop", "exit code")
    right = frozenset({"in flight at retire", "at stop"})
    return table(heads, rows, right=right, indent="  ")


def _known(number: int | None) -> str:
    return "-" if number is None else count(number)
