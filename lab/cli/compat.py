import json as jsons
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._manifest import asked_for
from lab.cli._options import Json, Project, Quiet
from lab.cli._summary import append, wanted

if TYPE_CHECKING:
    from lab.compat.model import Matrix


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MD = "md"
    JUNIT = "junit"
    HTML = "html"
    GITHUB = "github"


@app.command()
def compat(
    versions: Annotated[list[str] | None, typer.Argument(help="The plan's oldest and newest unless given.")] = None,
    levels: Annotated[
        str,
        typer.Option(
            "--levels",
            help="0 lint and API, 1 statements on every phase, 2 real containers, 3 pairs of versions, 4 steps under "
            "traffic.",
            metavar="A-B",
        ),
    ] = "0-3",
    format: Annotated[Format, typer.Option("--format", "-f", help="How it is shown.")] = Format.TEXT,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it there; - is stdout.", metavar="FILE")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Every failure with all that is known of it.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A Compose file of your own; else the one that the lab was started with."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Go on where a level is red.")] = False,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show on which schema phase which version works, alone and beside another. Needs no running lab."""
    from lab.operations.compat import CompatRequest
    from lab.operations.compat import compat as run

    chosen = Format.JSON if json else format
    request = CompatRequest(versions=tuple(versions or ()), levels=levels, everything=every)
    asked = asked_for(project, file, service=None, readiness=None, port=None, paths=None)
    matrix = run(open_lab(project, asked), request, lambda line: _output.say(f" - {line}", quiet=quiet))
    _output.document(_rendered(matrix, chosen, explain=explain), out)
    if wanted():
        append(_rendered(matrix, Format.MD, explain=explain))
    return matrix.exit_code


def _rendered(matrix: "Matrix", chosen: Format, *, explain: bool) -> str:
    """Each form is imported where it is asked for: the page alone is more to import than all the rest."""
    match chosen:
        case Format.TEXT:
            from lab.compat.show import text

            return text.render(matrix, explain=explain)
        case Format.JSON:
            from lab.compat.show import data

            return jsons.dumps(data.as_data(matrix)) + "\n"
        case Format.MD:
            from lab.compat.show import markdown

            return markdown.render(matrix)
        case Format.JUNIT:
            from lab.compat.show import junit

            return junit.render(matrix)
        case Format.HTML:
            from lab.compat.show import html

            return html.render(matrix)
        case Format.GITHUB:
            from lab.compat.show import github

            return github.render(matrix, root=str(Path.cwd()))
