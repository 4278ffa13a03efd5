from lab.cli._app import app
from lab.cli._options import Json, Project
from lab.cli._words import PATIENCE, Timeout, operate
from lab.model import Command


@app.command()
def pause(timeout: Timeout = PATIENCE, project: Project = "default", json: Json = False) -> int:
    """Pause the rollout that another terminal runs: nothing more is begun, the load goes on."""
    return operate(Command.PAUSE, project, timeout=timeout, as_json=json)
