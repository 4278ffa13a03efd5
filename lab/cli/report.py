from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import run_names
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.cli._summary import append_summary
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.report import Report


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MD = "md"
    JUNIT = "junit"
    HTML = "html"


@app.command()
def report(
    run: Annotated[
        str | None, typer.Argument(help="The run; the last one unless given.", autocompletion=run_names)
    ] = None,
    format: Annotated[Format, typer.Option("--format", "-f", help="html is a file that opens offline.")] = Format.TEXT,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it there; - is stdout.", metavar="FILE")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option("--compare", help="Two runs, figure by figure.", metavar="A B")
    ] = None,
    all_runs: Annotated[bool, typer.Option("--list", help="The runs that there are, the oldest first.")] = False,
    project: Project = "default",
    json: Json = False,
) -> int:
    """Show the verdict of a run again, and all that was measured. Its exit code is the run's."""
    from lab.operations.archive import find_run, report_on

    chosen = Format.JSON if json else format
    _refuse(chosen, run, compare, all_runs=all_runs)
    runs = open_lab(project).project.runs
    if all_runs or compare:
        return _several(runs, compare, as_json=chosen is Format.JSON)
    folder = find_run(runs, run)
    told = report_on(folder)
    if chosen is Format.HTML and out is None:
        out = folder / "report.html"
    # an app's answer may hold what no encoding can write
    _output.document(_rendered(told, chosen, folder).encode(errors="replace").decode(), out)
    if chosen is Format.MD:
        append_summary(told)
    return told.verdict.exit_code


def _refuse(chosen: Format, run: str | None, compare: tuple[str, str] | None, *, all_runs: bool) -> None:
    if sum((run is not None, compare is not None, all_runs)) > 1:
        raise UsageError(id="report-of", what="a run, --compare and --list exclude each other", fix="give one of them")
    if (compare or all_runs) and chosen not in {Format.TEXT, Format.JSON}:
        raise UsageError(
            id="report-format", what=f"several runs are told as text or json, not as {chosen}", fix="--format json"
        )


def _several(runs: Path, compare: tuple[str, str] | None, *, as_json: bool) -> int:
    from lab.operations.archive import find_run, verdict_of, verdicts
    from lab.report import render_compared, render_runs, runs_to_json

    if compare is None:
        found = verdicts(runs)
        text = render_runs(found)
    else:
        found = [verdict_of(find_run(runs, name)) for name in compare]
        text = render_compared(*found)
    _output.result(text, runs_to_json(found), as_json=as_json)
    return 0


def _rendered(told: "Report", chosen: Format, folder: Path) -> str:
    from lab.report import render_html, render_junit, render_markdown, render_report_json, render_text

    match chosen:
        case Format.TEXT:
            return _output.advice(render_text(told.verdict, data=str(folder), details=True))
        case Format.JSON:
            return render_report_json(told)
        case Format.MD:
            return render_markdown(told)
        case Format.JUNIT:
            return render_junit(told)
        case Format.HTML:
            return render_html(told)
