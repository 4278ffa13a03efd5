"""What `lab pause`, `resume`, `abort`, `rollback` and `scale` share: the word, and what is said of its answer."""

import asyncio
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli import _output
from lab.cli._lab import open_lab
from lab.cli._live import following
from lab.cli._verdict import show_run
from lab.durations import seconds
from lab.errors import Exit, UsageError
from lab.model import Command, Ending

if TYPE_CHECKING:
    from lab.operations.operators import Answer
    from lab.operations.resume import Resumed
    from lab.operations.scale import ScaleResult

Timeout = Annotated[
    str, typer.Option("--timeout", help="How long the command at work may take to answer.", metavar="TIME")
]
PATIENCE = "15s"
_ENDS = {Ending.DONE: Exit.OK, Ending.PAUSED_BY_ENVIRONMENT: Exit.ENVIRONMENT, Ending.INTERRUPTED: Exit.INTERRUPTED}


def operate(
    command: Command,
    project: str,
    *,
    to: str | None = None,
    replicas: int | None = None,
    timeout: str = PATIENCE,
    as_json: bool,
    quiet: bool = False,
) -> int:
    from lab.operations.command import operate as carry_out
    from lab.operations.command import revision_of
    from lab.operations.operators import Answer, Word
    from lab.operations.scale import ScaleResult

    within = _patience(timeout)
    lab = open_lab(project)
    word = Word(command=command, replicas=replicas, to=revision_of(lab, to))
    with following(lab, quiet=quiet, at_once=False) as listen:
        told = partial(_output.say, quiet=quiet)
        done = asyncio.run(carry_out(lab, word, within=within, told=told, listen=listen))
    if isinstance(done, Answer):
        _output.result(_output.advice(answered(done)), answer_json(done), as_json=as_json)
        return Exit.OK
    if isinstance(done, ScaleResult):
        return _scaled(done, as_json=as_json)
    return _resumed(done, as_json=as_json)


def _patience(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(id="duration", what=f"--timeout: {error}", fix=f"--timeout {PATIENCE}") from error


def answered(it: "Answer") -> str:
    there = f"{it.serving.get(it.to, 0)} of {it.replicas} replicas run {it.to}"
    match it.command:
        case Command.PAUSE:
            return f"paused: {there}\nNext: lab resume goes on, lab rollback goes back, lab abort gives it up"
        case Command.RESUME:
            return f"goes on: {there}"
        case Command.ROLLBACK:
            return f"goes back to {it.to}: {there}"
        case Command.SCALE:
            return f"scaled to {it.replicas} replicas: {there}"
        case Command.ABORT:
            kept = ", ".join(f"{count} {version}" for version, count in it.serving.items())
            return f"gives up, and leaves what runs: {kept or 'nothing'}"


def answer_json(it: "Answer") -> dict[str, object]:
    owner = {"command": it.owner.command, "pid": it.owner.pid, "host": it.owner.host}
    return {"schema": "lab.word/1", **asdict(it), "owner": owner}


def _scaled(done: "ScaleResult", *, as_json: bool) -> int:
    text = f"The fleet has {done.replicas} replicas of {done.version}"
    text += f", {done.before} before." if done.changed else ". Nothing to do."
    _output.result(text, {"schema": "lab.scale/1", **asdict(done)}, as_json=as_json)
    return Exit.OK


def _resumed(done: "Resumed", *, as_json: bool) -> int:
    if done.run is not None:
        return show_run(done.run, as_json=as_json)
    ended = done.ended
    if ended is None:
        raise RuntimeError("a rollout that was gone on with has an end")
    text = f"The rollout {done.it.run} ended: {ended.ending}" + (f", {ended.reason}" if ended.reason else "")
    data = {"schema": "lab.resume/1", "run": done.it.run, "ending": ended.ending, "reason": ended.reason}
    _output.result(text, data, as_json=as_json)
    return _ENDS.get(ended.ending, Exit.NO)
