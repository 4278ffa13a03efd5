"""The options that shape a rollout, each defined once."""

from typing import Annotated

import typer

from lab.model import OnFail, Order

BatchText = Annotated[
    str | None,
    typer.Option(
        "--batch", envvar="LAB_BATCH", help="How many replicas are replaced together: 2 or 25%.", metavar="N|N%"
    ),
]
OrderText = Annotated[
    Order | None, typer.Option("--order", envvar="LAB_ORDER", help="Which replica of a slot goes first.")
]
MaxSurge = Annotated[
    str | None, typer.Option("--max-surge", help="How many replicas above N: 1 or 25%, rounded up.", metavar="N|N%")
]
MaxUnavailable = Annotated[
    str | None,
    typer.Option("--max-unavailable", help="How many below N: 1 or 25%, rounded down.", metavar="N|N%"),
]
Like = Annotated[
    str | None,
    typer.Option(
        "--like",
        help="Decide as others do: kubernetes, codedeploy-one|half|all|NN%, one-at-a-time, recreate.",
        metavar="NAME",
    ),
]
OnFailOption = Annotated[OnFail, typer.Option("--on-fail", help="What becomes of a rollout whose version failed.")]
Bake = Annotated[
    str | None, typer.Option("--bake", help="How long the fleet is watched after the last wave.", metavar="TIME")
]
WaveBake = Annotated[
    str | None, typer.Option("--wave-bake", help="How long it is watched after each wave.", metavar="TIME")
]
Gates = Annotated[
    list[str] | None,
    typer.Option("--gate", help="error-ratio=5% or unready-ratio=0%; may be given twice.", metavar="GATE"),
]
GateSamples = Annotated[
    int, typer.Option("--gate-samples", min=1, help="Fewer requests of the new version say nothing.", metavar="N")
]
Retries = Annotated[int, typer.Option("--retries", min=0, help="How often a slot may try again.", metavar="N")]
FailureRatio = Annotated[
    str | None,
    typer.Option("--max-failure-ratio", help="Of all slots, so many may fail: 0.1 or 10%.", metavar="SHARE"),
]
HoldTimeout = Annotated[
    str | None,
    typer.Option("--hold-timeout", help="How long the environment may fail before it pauses.", metavar="TIME"),
]
ProgressTimeout = Annotated[
    str | None,
    typer.Option("--progress-timeout", help="How long it may go without progress.", metavar="TIME"),
]
Replicas = Annotated[
    int | None, typer.Option("--replicas", help="Size of the fleet; what it is now unless given.", metavar="N")
]
Source = Annotated[
    str | None, typer.Option("--from", help="The version before; what runs now unless given.", metavar="VERSION")
]
