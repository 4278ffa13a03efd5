import asyncio

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project


@app.command()
def down(project: Project = "default", json: Json = False) -> None:
    """Remove every container, network and volume of the lab. Runs and reports are kept."""
    from lab.operations.down import down as take_down

    removed = asyncio.run(take_down(open_lab(project)))
    _output.result(down_text(project, removed), {"schema": "lab.down/1", "removed": removed}, as_json=json)


def down_text(project: str, removed: int) -> str:
    return f"Lab {project!r} is down." if removed else f"There is no lab {project!r}. Nothing to do."
