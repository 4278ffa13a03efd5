"""Options that several commands share, each defined once."""

from typing import Annotated

import typer

from lab.model import LoadFrom

LOAD = "The load"

Project = Annotated[
    str, typer.Option("--project", envvar="LAB_PROJECT", help="Which lab; several run side by side.", metavar="NAME")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Rate = Annotated[
    float | None,
    typer.Option("--rate", envvar="LAB_RATE", help="Requests a second.", metavar="N", rich_help_panel=LOAD),
]
MinRequests = Annotated[
    int | None,
    typer.Option(
        "--min-requests",
        envvar="LAB_MIN_REQUESTS",
        help="Fewer than this is no verdict.",
        metavar="N",
        rich_help_panel=LOAD,
    ),
]
NoLoad = Annotated[
    bool, typer.Option("--no-load", help="Roll without traffic; nothing is then measured.", rich_help_panel=LOAD)
]
LoadFromOption = Annotated[
    LoadFrom,
    typer.Option("--load-from", help="Where the load runs; host for writing locustfiles.", rich_help_panel=LOAD),
]
SkipDrain = Annotated[bool, typer.Option("--test-skip-drain", hidden=True)]
