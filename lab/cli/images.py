from pathlib import Path
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import images_app
from lab.cli._options import Json

File = Annotated[Path, typer.Argument(help="The archive; gzipped if its name ends in .gz.")]


@images_app.command()
def save(file: File, json: Json = False) -> None:
    """Write all images of the lab into one file, for a hall without a network."""
    from lab import images

    images.save(file, _output.say)
    _output.result(f"Saved to {file}.", {"schema": "lab.images/1", "file": str(file)}, as_json=json)


@images_app.command()
def load(file: File, json: Json = False) -> None:
    """Read the images that `lab images save` wrote elsewhere."""
    from lab import images

    images.load(file, _output.say)
    _output.result(f"Loaded from {file}.", {"schema": "lab.images/1", "file": str(file)}, as_json=json)
