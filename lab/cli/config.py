import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._load import OPTIONS as LOAD_OPTIONS
from lab.cli._load import loaded
from lab.cli._options import Json, Project
from lab.cli._shape import EPILOG, Sectioned, shaped
from lab.cli._shape import OPTIONS as SHAPE_OPTIONS
from lab.load_choice import LoadChoice
from lab.shape import Shape

if TYPE_CHECKING:
    from lab.settings import Origin

_FIELDS = {"gate": "gates", "shape_of_load": "shape", "seed_of_load": "seed"}
"""Where an option's parameter has another name than the field that it fills."""


@app.command(cls=Sectioned, epilog=EPILOG)
@shaped(with_context=True)
@loaded
def config(
    ctx: typer.Context, shape: Shape, load: LoadChoice, project: Project = "default", json: Json = False
) -> None:
    """Show every value that counts, and who said it: flag, environment, journal, manifest or default."""
    from lab.operations.config import Asked, effective
    from lab.settings import settings_table

    by = _origins(ctx)
    asked = Asked(
        shape=shape,
        shape_by={_FIELDS.get(name, name): by[name] for name in SHAPE_OPTIONS if name in by},
        load=load,
        load_by={_FIELDS.get(name, name): by[name] for name in LOAD_OPTIONS if name in by},
        project_by=by.get("project"),
    )
    settings = effective(open_lab(project), asked, os.environ)
    data = {"schema": "lab.config/1", "settings": [asdict(one) for one in settings]}
    _output.result("\n".join(settings_table(settings)), data, as_json=json)


def _origins(ctx: typer.Context) -> "Mapping[str, Origin]":
    """Who said each parameter that was said."""
    from lab.settings import Origin

    known = {"COMMANDLINE": Origin.FLAG, "ENVIRONMENT": Origin.ENVIRONMENT}
    sources = {name: getattr(ctx.get_parameter_source(name), "name", "") for name in ctx.params}
    return {name: known[source] for name, source in sources.items() if source in known}
