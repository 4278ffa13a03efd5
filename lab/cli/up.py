import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import version_names
from lab.cli._lab import open_lab
from lab.cli._manifest import AppPort, ManifestFile, Paths, ReadinessPath, Service, asked_for
from lab.cli._options import Json, Project, Quiet

if TYPE_CHECKING:
    from lab.operations.up import UpResult


@app.command()
def up(
    replicas: Annotated[int | None, typer.Option("--replicas", help="Size of the fleet.", metavar="N")] = None,
    version: Annotated[
        str | None,
        typer.Option("--version", help="Version to start with.", metavar="NAME", autocompletion=version_names),
    ] = None,
    schema: Annotated[str | None, typer.Option("--schema", help="Schema phase to start in.", metavar="PHASE")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the app on 127.0.0.1.", metavar="PORT")] = None,
    file: ManifestFile = None,
    service: Service = None,
    readiness: ReadinessPath = None,
    app_port: AppPort = None,
    paths: Paths = None,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Start the lab, or repair it: database, proxy and the fleet. Does nothing if all is well."""
    from lab.operations.up import UpRequest
    from lab.operations.up import up as bring_up

    asked = asked_for(project, file, service=service, readiness=readiness, port=app_port, paths=paths)
    lab, took = open_lab(project, asked), _output.stopwatch()
    request = UpRequest(replicas=replicas, version=version, schema=schema, port=port)
    done = asyncio.run(bring_up(lab, request, told=_output.parts(quiet=quiet), listen=_output.events(quiet=quiet)))
    text = up_text(done, took(), by_image=lab.manifest.around.own and not lab.manifest.versions)
    data = {
        "schema": "lab.up/1",
        "changed": done.changed,
        "replicas": done.replicas,
        "version": done.version,
        "schema_phase": done.schema,
        "url": done.url,
    }
    _output.result(_output.advice(text), data, as_json=json)


def up_text(done: "UpResult", seconds: float, *, by_image: bool) -> str:
    """`by_image`: its versions are images, not names of the manifest."""
    what = f"{done.replicas} x {done.version}, {done.url}"
    if not done.changed:
        return f"Lab is already up ({what}). Nothing to do."
    following = "lab roll v2" if done.version != "v2" else "lab rollback"
    following = "lab roll --image IMAGE:TAG" if by_image else following
    return f"Lab is up in {seconds:.1f}s: {what}\nNext: {following}"
