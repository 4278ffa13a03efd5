import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import version_names
from lab.cli._detach import Detach, detached
from lab.cli._lab import open_lab
from lab.cli._live import following
from lab.cli._load import loaded
from lab.cli._options import Anyway, Json, NoLoad, Project, Quiet, Schema, SkipDrain
from lab.cli._shape import EPILOG, Sectioned, shaped
from lab.cli._verdict import show_run
from lab.cli._words import PATIENCE, Timeout, operate
from lab.errors import UsageError
from lab.load_choice import LoadChoice
from lab.model import Command, SchemaMode
from lab.shape import Shape

if TYPE_CHECKING:
    from lab.operations.request import RollRequest


@app.command(cls=Sectioned, epilog=EPILOG)
@shaped()
@loaded
def roll(
    shape: Shape,
    load: LoadChoice,
    version: Annotated[
        str | None,
        typer.Argument(
            help="The version to roll to, as the manifest names it, or a tag of its image.",
            autocompletion=version_names,
        ),
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="Roll to this image instead: shop:2.0.", metavar="IMAGE:TAG")
    ] = None,
    no_load: NoLoad = False,
    schema: Schema = SchemaMode.AUTO,
    anyway: Anyway = False,
    test_skip_drain: SkipDrain = False,
    detach: Detach = False,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Replace the fleet by another version under traffic, and say what was dropped."""
    if detach:
        return detached(project, as_json=json)
    from lab.operations.request import RollRequest

    if version is None and image is None:
        raise UsageError(
            id="version", what="nothing says what to roll to", fix="lab roll VERSION, or --image IMAGE:TAG"
        )
    request = RollRequest(
        version=version,
        image=image,
        shape=shape,
        choice=load,
        load=not no_load,
        schema=schema,
        anyway=anyway,
        skip_drain=test_skip_drain,
    )
    return _run(project, request, as_json=json, quiet=quiet)


@app.command(cls=Sectioned, epilog=EPILOG)
@shaped(without=frozenset({"on_fail"}))
@loaded
def rollback(
    shape: Shape,
    load: LoadChoice,
    to: Annotated[
        str | None, typer.Option("--to", help="A version, or a number of lab history.", metavar="VERSION|N")
    ] = None,
    timeout: Timeout = PATIENCE,
    no_load: NoLoad = False,
    schema: Schema = SchemaMode.AUTO,
    anyway: Anyway = False,
    test_skip_drain: SkipDrain = False,
    detach: Detach = False,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Roll back to the revision before this one, or out of a roll that has not ended, whoever runs it."""
    if detach:
        return detached(project, as_json=json)
    from lab.operations.command import is_rolling
    from lab.operations.request import RollRequest
    from lab.operations.roll import check
    from lab.proof import Command as Rolled

    request = RollRequest(
        version=None,
        to=to,
        kind=Rolled.ROLLBACK,
        shape=shape,
        choice=load,
        load=not no_load,
        schema=schema,
        anyway=anyway,
        skip_drain=test_skip_drain,
    )
    lab = open_lab(project)
    check(lab, request)
    if asyncio.run(is_rolling(lab)):
        return operate(Command.ROLLBACK, project, to=to, timeout=timeout, as_json=json, quiet=quiet)
    return _run(project, request, as_json=json, quiet=quiet)


def _run(project: str, request: "RollRequest", *, as_json: bool, quiet: bool) -> int:
    from lab.operations.roll import roll as run_roll

    lab = open_lab(project)
    with following(lab, quiet=quiet) as listen:
        done = asyncio.run(run_roll(lab, request, listen=listen, note=_output.notes(quiet=quiet)))
    if done.run is None:
        text = f"The fleet already runs {done.version}. Nothing to do."
        _output.result(text, {"schema": "lab.roll/1", "changed": False, "version": done.version}, as_json=as_json)
        return 0
    return show_run(done.run, as_json=as_json)
