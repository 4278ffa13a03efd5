"""The verdict as people see it at the end of a roll, and again with `lab report`. Plain text, no colour."""

from lab.proof.result import Verdict
from lab.report.blocks import (
    blast_block,
    deaths_block,
    doubts_block,
    drops_block,
    failure_block,
    notes_block,
)
from lab.report.details import details_blocks, slower_block
from lab.report.headline import headline
from lab.report.marks import ASCII, UNICODE
from lab.report.mixes import breakages_block, mixes_block
from lab.report.story import stories_block


def render_text(verdict: Verdict, *, data: str | None = None, ascii_only: bool = False, details: bool = False) -> str:
    """`data` is the run's folder as the caller names it; `details` adds versions, exposure, bounds and latency."""
    blocks = [
        failure_block(verdict.run.failure) + blast_block(verdict.blast),
        drops_block(verdict.drops),
        stories_block(verdict.drops),
        breakages_block(verdict.schema_breakages),
        mixes_block(verdict),
        deaths_block(verdict.deaths),
        doubts_block(verdict) + notes_block(verdict),
        *(details_blocks(verdict) if details else [slower_block(verdict.comparison)]),
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
