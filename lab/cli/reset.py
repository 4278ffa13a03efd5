import asyncio
from dataclasses import asdict

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project, Quiet


@app.command()
def reset(project: Project = "default", json: Json = False, quiet: Quiet = False) -> None:
    """Back to the starting state: the first version, an empty database in its first phase. Runs are kept."""
    from lab.operations.reset import reset as start_over

    took = _output.stopwatch()
    done = asyncio.run(
        start_over(open_lab(project), told=_output.parts(quiet=quiet), listen=_output.events(quiet=quiet))
    )
    it = done.up
    text = f"Lab is as new in {took():.1f}s: {it.replicas} x {it.version}, {it.url}\nNext: lab roll v2"
    data = {"schema": "lab.reset/1", "removed": done.removed, **asdict(it)}
    _output.result(_output.advice(text), data, as_json=json)
