from enum import StrEnum
from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell that is to complete.")],
) -> None:
    """Print what makes a shell complete commands, options, versions and runs: eval "$(lab completion bash)"."""
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="lab", complete_var="_LAB_COMPLETE", shell=shell.value)
    _output.line(script.strip())
