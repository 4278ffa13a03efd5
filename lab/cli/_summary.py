"""GitHub shows what a step appends to a file of its own; the variable names it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import _output

if TYPE_CHECKING:
    from lab.report import Report

VARIABLE = "GITHUB_STEP_SUMMARY"


def wanted() -> bool:
    return bool(os.environ.get(VARIABLE))


def append_summary(told: "Report") -> None:
    """A summary that cannot be written is said, and changes no exit code."""
    if wanted():
        from lab.report import render_markdown

        append(render_markdown(told))


def append(markdown: str) -> None:
    """Where there is a summary: a text goes to its end."""
    if not wanted():
        return
    try:
        with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")
    except OSError as error:
        _output.say(f"note: ${VARIABLE} cannot be written: {error.strerror}")
