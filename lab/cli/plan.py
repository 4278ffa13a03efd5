from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import version_names
from lab.cli._lab import open_lab
from lab.cli._options import Anyway, Json, Project, Rate, Schema
from lab.cli._shape import EPILOG, Replicas, Sectioned, Source, shaped
from lab.model import SchemaMode
from lab.shape import Shape


@app.command(cls=Sectioned, epilog=EPILOG)
@shaped()
def plan(
    version: Annotated[
        str, typer.Argument(help="The version to roll to, as the manifest names it.", autocompletion=version_names)
    ],
    shape: Shape,
    replicas: Replicas = None,
    source: Source = None,
    rate: Rate = None,
    schema: Schema = SchemaMode.AUTO,
    anyway: Anyway = False,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show what a roll would do, wave by wave, and how soon it would notice a bad version. Touches nothing.

    Of a lab that is up it asks for the schema's phase, and refuses what lab roll would refuse.
    """
    from lab.operations.simulate import Question
    from lab.operations.simulate import plan as make_plan
    from lab.report.simulation import render_plan

    question = Question(
        version=version, shape=shape, source=source, replicas=replicas, rate=rate, schema=schema, anyway=anyway
    )
    made = make_plan(open_lab(project), question)
    _output.result(render_plan(made), made.to_json(), as_json=json)
