"""What a run leaves on the screen: its verdict, and where its data are."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import _manner, _output
from lab.cli._summary import append_summary, wanted

if TYPE_CHECKING:
    from lab.operations.run import RunResult


def show_run(run: "RunResult", *, as_json: bool) -> int:
    from lab.operations.archive import report_on
    from lab.report import render_json, render_text

    folder = _short(run.folder)
    text = render_json(run.verdict) if as_json else _output.advice(render_text(run.verdict, data=folder))
    _manner.to(sys.stdout, text)
    if wanted():
        append_summary(report_on(run.folder))
    return run.exit_code


def _short(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
