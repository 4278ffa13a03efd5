import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, MinRequests, Project, Rate, Slow, slow_seconds
from lab.cli._shape import EPILOG, Sectioned, shaped
from lab.shape import Shape


@app.command(cls=Sectioned, epilog=EPILOG)
@shaped(with_context=True)
def config(
    ctx: typer.Context,
    shape: Shape,
    rate: Rate = None,
    slow: Slow = None,
    min_requests: MinRequests = None,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show every value that counts, and who said it: flag, environment, journal, manifest or default."""
    from lab.operations.config import effective
    from lab.settings import Origin, Setting, settings_table

    slow_seconds(slow)
    given = {"rate": rate, "slow": slow, "min_requests": min_requests, "project": project}
    said: Mapping[str, Setting] = {
        name.replace("_", "-"): Setting(
            name=name.replace("_", "-"),
            value=f"{value:g}" if isinstance(value, float) else str(value),
            origin=Origin(origin),
            where="--" + name.replace("_", "-") if origin == Origin.FLAG else f"LAB_{name.upper()}",
        )
        for name, value in given.items()
        if (origin := origin_of(ctx, name))
    }
    asked = {name: Origin(origin) for name in ctx.params if (origin := origin_of(ctx, name))}
    asked |= {"gates": asked["gate"]} if "gate" in asked else {}
    settings = effective(open_lab(project), shape, asked, said, os.environ)
    data: dict[str, Any] = {"schema": "lab.config/1", "settings": [asdict(one) for one in settings]}
    _output.result("\n".join(settings_table(settings)), data, as_json=json)


def origin_of(ctx: typer.Context, name: str) -> str:
    """`flag` or `environment`; empty where nobody said it."""
    source = getattr(ctx.get_parameter_source(name), "name", "")
    return {"COMMANDLINE": "flag", "ENVIRONMENT": "environment"}.get(source, "")
