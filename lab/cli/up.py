import asyncio
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import version_names
from lab.cli._lab import open_lab
from lab.cli._manifest import AppPort, ManifestFile, Paths, ReadinessPath, Service, asked_for
from lab.cli._options import Json, Project, Quiet


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
    if done.changed:
        own = lab.manifest.around.own and not lab.manifest.versions
        following = "lab roll v2" if done.version != "v2" else "lab rollback"
        following = "lab roll --image IMAGE:TAG" if own else following
        text = f"Lab is up in {took():.1f}s: {done.replicas} x {done.version}, {done.url}"
        text += _output.advice(f"\nNext: {following}")
    else:
        text = f"Lab is already up ({done.replicas} x {done.version}, {done.url}). Nothing to do."
    data = {
        "schema": "lab.up/1",
        "changed": done.changed,
        "replicas": done.replicas,
        "version": done.version,
        "schema_phase": done.schema,
        "url": done.url,
    }
    _output.result(text, data, as_json=json)
