from typing import Annotated

import typer

from lab.cli import _output
from lab.cli._app import app
from lab.cli._lab import open_lab
from lab.cli._options import DrainTimeout, Json, Project, Rate, ReadyTimeout, duration
from lab.cli._shape import (
    Bake,
    BatchText,
    FailureRatio,
    Gates,
    GateSamples,
    Like,
    MaxSurge,
    MaxUnavailable,
    OnFailOption,
    OrderText,
    ProgressTimeout,
    Replicas,
    Retries,
    Source,
    WaveBake,
)
from lab.model import OnFail


@app.command()
def plan(
    version: Annotated[str, typer.Argument(help="The version to roll to, as the manifest names it.")],
    order: OrderText = None,
    batch: BatchText = None,
    max_surge: MaxSurge = None,
    max_unavailable: MaxUnavailable = None,
    like: Like = None,
    on_fail: OnFailOption = OnFail.ROLLBACK,
    ready_timeout: ReadyTimeout = None,
    drain_timeout: DrainTimeout = None,
    progress_timeout: ProgressTimeout = None,
    bake: Bake = None,
    wave_bake: WaveBake = None,
    gate: Gates = None,
    gate_samples: GateSamples = 50,
    retries: Retries = 0,
    max_failure_ratio: FailureRatio = None,
    replicas: Replicas = None,
    source: Source = None,
    rate: Rate = None,
    project: Project = "default",
    json: Json = False,
) -> None:
    """Show what a roll would do, wave by wave, and how soon it would notice a bad version. Touches nothing."""
    from lab.operations.shape import Shape
    from lab.operations.simulate import Question
    from lab.operations.simulate import plan as make_plan
    from lab.report.simulation import render_plan

    shape = Shape(
        order=order,
        batch=batch,
        max_surge=max_surge,
        max_unavailable=max_unavailable,
        like=like,
        on_fail=on_fail,
        ready_timeout=duration(ready_timeout, "--ready-timeout"),
        drain_timeout=duration(drain_timeout, "--drain-timeout"),
        progress_timeout=duration(progress_timeout, "--progress-timeout"),
        bake=duration(bake, "--bake") or 0.0,
        wave_bake=duration(wave_bake, "--wave-bake") or 0.0,
        gates=tuple(gate or ()),
        gate_samples=gate_samples,
        retries=retries,
        max_failure_ratio=max_failure_ratio,
    )
    question = Question(version=version, shape=shape, source=source, replicas=replicas, rate=rate)
    made = make_plan(open_lab(project), question)
    _output.result(render_plan(made), made.to_json(), as_json=json)
