from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project


@app.command()
def history(project: Project = "default", json: Json = False) -> None:
    """Show the revisions that the fleet ran, and which of them can be gone back to."""
    from lab.operations.targets import history_rows, history_table

    rows = history_rows(open_lab(project).history())
    data = {"schema": "lab.history/1", "revisions": rows}
    text = "\n".join(history_table(rows)) if rows else "Nothing was rolled out yet: lab up."
    _output.result(_output.advice(text), data, as_json=json)
