import json as jsonlib
from typing import Annotated

import typer

from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.errors import Exit, LabError


@app.command()
def report(
    run: Annotated[str | None, typer.Argument(help="The run; the last one unless given.")] = None,
    project: Project = "default",
    json: Json = False,
) -> int:
    """Show the verdict of a run again. Its exit code is the run's."""
    from lab.proof import verdict_from_json
    from lab.report import render_json, render_text

    runs = open_lab(project).project.runs
    folders = sorted(path for path in runs.iterdir() if path.is_dir()) if runs.exists() else []
    chosen = [folder for folder in folders if run in {None, folder.name}]
    if not chosen:
        raise LabError(
            id="no-run",
            what=f"there is no run {run}" if run else "nothing was rolled yet",
            where=str(runs),
            fix="lab roll v2" if not folders else f"the last is {folders[-1].name}",
        )
    path = chosen[-1] / "verdict.json"
    if not path.exists():
        raise LabError(
            id="no-verdict",
            what=f"the run {chosen[-1].name} ended without a verdict",
            where=str(chosen[-1]),
            fix="what it left is there; lab report RUN shows an earlier one",
            exit_code=Exit.NO_VERDICT,
        )
    try:
        verdict = verdict_from_json(jsonlib.loads(path.read_text()))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise LabError(
            id="verdict-unreadable",
            what=f"the verdict of {chosen[-1].name} cannot be read: {error!r}",
            where=str(path),
            fix="its ledgers are beside it; lab report of another run",
        ) from error
    typer.echo(render_json(verdict) if json else render_text(verdict, data=str(chosen[-1]), details=True), nl=False)
    return verdict.exit_code
