from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._complete import version_names
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project, Quiet
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.images import Built


@app.command()
def build(
    versions: Annotated[
        list[str] | None,
        typer.Argument(
            help="Only what these versions run on.",
            metavar="[VERSION]...",
            autocompletion=version_names,
            show_default=False,
        ),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build anew what is there already.")] = False,
    project: Project = "default",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the lab's images, or those of some versions, before they are needed. `lab up` does so by itself."""
    from lab import images
    from lab.images.parts import Part

    manifest = open_lab(project).manifest
    foreign = {manifest.version(name).image for name in versions or ()} - {None}
    if foreign:
        raise LabError(
            id="foreign-image",
            what=f"{', '.join(sorted(map(str, foreign)))} is not built by the lab: the manifest names it as it is",
            where=str(manifest.path),
            fix="build or pull it with Docker",
        )
    wanted = [Part.APP] if versions else list(Part)
    done = images.build(wanted, lambda line: _output.say(line, quiet=quiet), cached=not no_cache, postgres=not versions)
    data = {"schema": "lab.build/1", "images": [asdict(one) for one in done]}
    _output.result("\n".join(built_lines(done)), data, as_json=json)


def built_lines(done: "list[Built]") -> list[str]:
    width = max(len(one.reference) for one in done)
    return [
        f"{one.name:<9} {one.reference:<{width}}  "
        + ("there already" if one.seconds is None else f"built in {one.seconds:.1f}s")
        for one in done
    ]
