from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project
from lab.errors import Exit


@app.command()
def doctor(
    offline: Annotated[
        bool, typer.Option("--offline", help="Whether all is here, so that no network is needed.", show_default=False)
    ] = False,
    project: Project = "default",
    json: Json = False,
) -> int:
    """Check what the lab needs, and say how to mend what is missing. A warning alone is exit 0."""
    from lab.checkup import checkup_lines, problems
    from lab.operations.doctor import examine

    checks = examine(open_lab(project), offline=offline)
    bad = problems(checks)
    data = {"schema": "lab.doctor/1", "ok": not bad, "checks": [one.to_json() for one in checks]}
    _output.result(_output.advice("\n".join(checkup_lines(checks))), data, as_json=json)
    return Exit.ENVIRONMENT if bad else Exit.OK
