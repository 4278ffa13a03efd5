import asyncio

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import Json, Project, Quiet
from lab.errors import Exit


@app.command()
def selftest(project: Project = "default", json: Json = False, quiet: Quiet = False) -> int:
    """Harm a lab of its own in known ways, and check that the verdict finds each harm exactly. Takes a minute."""
    from lab.operations.selftest import selftest as run_selftest
    from lab.selftest import table_text, table_to_json

    done = asyncio.run(run_selftest(open_lab(project), told=lambda line: _output.say(line, quiet=quiet)))
    _output.result(table_text(done), table_to_json(done), as_json=json)
    return Exit.OK if done.ok else Exit.NO
