"""The one Typer application; each command file registers itself on it."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from lab.cli._manner import SpeakingTyper
from lab.errors import Exit

EPILOG = "Exit codes: 0 done and proved, 1 the answer is no, 2 usage, 3 environment, 4 no verdict, 70 a bug in the lab."


class _Group(TyperGroup):
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # who reads has read enough; nothing more can be said there
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(Exit.PIPE_CLOSED) from error
        except KeyboardInterrupt as error:
            # Typer would end here without a word
            sys.stderr.write("\ninterrupted; run the same command again to go on\n")
            raise typer.Exit(Exit.INTERRUPTED) from error


app = SpeakingTyper(
    name="lab",
    cls=_Group,
    help="Roll an app from one version to the next under load, and prove that nothing was dropped.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
migrate_app = SpeakingTyper(help="The schema's phases: where it is, and the steps between them.", no_args_is_help=True)
images_app = SpeakingTyper(help="The lab's images, for places without a network.", no_args_is_help=True)
load_app = SpeakingTyper(help="Traffic without a roll, under the same verdict.", no_args_is_help=True)
fault_app = SpeakingTyper(help="Versions of the sample app that are bad on purpose.", no_args_is_help=True)
app.add_typer(fault_app, name="fault")
app.add_typer(load_app, name="load")
app.add_typer(migrate_app, name="migrate")
app.add_typer(images_app, name="images")
