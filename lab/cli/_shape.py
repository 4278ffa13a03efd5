"""The options that shape a rollout, each defined once; `shaped` gives them to a command, and hands it one Shape."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from lab.durations import seconds
from lab.errors import UsageError
from lab.model import OnFail, Order
from lab.planner.budgets import amount
from lab.shape import Shape, gate_of, share_of, stands_beside

WAY = "The way, said in one of three manners"
WATCH = "What is watched, and what becomes of a version that fails"
TIMES = "How long it may take"
EPILOG = (
    "What shapes a rollout is also read from the environment (--max-surge from LAB_MAX_SURGE) and from the manifest: "
    "flag > environment > manifest > default."
)


def _option(name: str, help: str, metavar: str | None, panel: str, *, min: int | None = None) -> Any:
    variable = f"LAB_{name.removeprefix('--').replace('-', '_').upper()}"
    return typer.Option(
        name, envvar=variable, help=help, metavar=metavar, min=min, rich_help_panel=panel, show_envvar=False
    )


OPTIONS: Mapping[str, Any] = {
    "order": Annotated[Order | None, _option("--order", "Which replica of a slot goes first.", None, WAY)],
    "batch": Annotated[
        str | None, _option("--batch", "How many replicas are replaced together: 2 or 25%.", "N|N%", WAY)
    ],
    "max_surge": Annotated[
        str | None, _option("--max-surge", "How many replicas above N: 1 or 25%, rounded up.", "N|N%", WAY)
    ],
    "max_unavailable": Annotated[
        str | None, _option("--max-unavailable", "How many below N: 1 or 25%, rounded down.", "N|N%", WAY)
    ],
    "like": Annotated[
        str | None,
        _option(
            "--like",
            "Decide as others do: kubernetes, codedeploy-one|half|all|NN%, one-at-a-time, recreate.",
            "NAME",
            WAY,
        ),
    ],
    "gate": Annotated[
        list[str] | None,
        _option(
            "--gate",
            "error-ratio=5%, unready-ratio=0%, dropped=0 or latency=1.2x; may be given again; or none.",
            "GATE",
            WATCH,
        ),
    ],
    "gate_samples": Annotated[
        int | None,
        _option("--gate-samples", "Fewer requests say nothing: 50.", "N", WATCH, min=1),
    ],
    "wave_bake": Annotated[
        str | None, _option("--wave-bake", "How long the fleet is watched after each wave.", "TIME", WATCH)
    ],
    "bake": Annotated[
        str | None, _option("--bake", "How long the fleet is watched after the last wave.", "TIME", WATCH)
    ],
    "retries": Annotated[int | None, _option("--retries", "How often a slot may try again: 0.", "N", WATCH, min=0)],
    "max_failure_ratio": Annotated[
        str | None, _option("--max-failure-ratio", "Of all slots, so many may fail: 0.1 or 10%.", "SHARE", WATCH)
    ],
    "on_fail": Annotated[
        OnFail | None, _option("--on-fail", "What then becomes of the rollout: rollback.", None, WATCH)
    ],
    "ready_timeout": Annotated[
        str | None,
        _option(
            "--ready-timeout", "How long a replica may take to be ready, and again if it falls out: 30s.", "TIME", TIMES
        ),
    ],
    "drain_timeout": Annotated[
        str | None, _option("--drain-timeout", "How long a drain may take: 30s.", "TIME", TIMES)
    ],
    "progress_timeout": Annotated[
        str | None, _option("--progress-timeout", "How long it may go without progress: 10m.", "TIME", TIMES)
    ],
    "hold_timeout": Annotated[
        str | None, _option("--hold-timeout", "How long the environment may fail before it pauses: 0s.", "TIME", TIMES)
    ],
}
Replicas = Annotated[
    int | None, typer.Option("--replicas", help="Size of the fleet; what it is now unless given.", metavar="N")
]
Source = Annotated[
    str | None, typer.Option("--from", help="The version before; what runs now unless given.", metavar="VERSION")
]
MAY_BE_ZERO = {"bake", "wave_bake", "hold_timeout"}
REFUSED_AS = {"max_failure_ratio": ("ratio", "5%"), "gate": ("gate", "error-ratio=5%")}
TIMED = {"ready_timeout", "drain_timeout", "progress_timeout"} | MAY_BE_ZERO


class Sectioned(TyperCommand):
    """Its options stand in the sections that they name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            usual = "Arguments" if param.param_type_name == "argument" else "Options"
            if record is not None:
                sections.setdefault(getattr(param, "rich_help_panel", None) or usual, []).append(record)
        for title in sorted(sections, key=lambda title: title == "Options"):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def shaped(
    *, without: frozenset[str] = frozenset(), with_context: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command that takes `shape` has these options instead, where `shape` stands; and `ctx`, if it takes that too."""
    names = [name for name in OPTIONS if name not in without]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_options(*, ctx: typer.Context, **given: Any) -> Any:
            own = {name: value for name, value in given.items() if name not in names}
            own |= {"ctx": ctx} if with_context else {}
            return command(**own, shape=_shape(ctx, {name: given[name] for name in names}))

        signature = inspect.signature(command, eval_str=True)
        parameters = [inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        for name, parameter in signature.parameters.items():
            if name == "ctx":
                continue
            parameters += _parameters(names) if name == "shape" else [parameter.replace(kind=parameter.KEYWORD_ONLY)]
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return with_options

    return decorate


def _parameters(names: list[str]) -> list[inspect.Parameter]:
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, kind, default=None, annotation=OPTIONS[name]) for name in names]


def _shape(ctx: typer.Context, given: Mapping[str, Any]) -> Shape:
    """A flag counts before the environment, and makes another way that the environment says give way."""
    sources = {name: getattr(ctx.get_parameter_source(name), "name", "") for name in given}
    flags = {name for name, source in sources.items() if source == "COMMANDLINE"}
    asked = [name for name in given if name in flags or (sources[name] == "ENVIRONMENT" and stands_beside(name, flags))]
    said_as = {name: "--" + name.replace("_", "-") if name in flags else f"LAB_{name.upper()}" for name in asked}
    read = {name: _read(name, given[name], said_as[name]) for name in asked}
    return Shape(**{"gates" if name == "gate" else name: value for name, value in read.items()})


def _read(name: str, value: Any, said_as: str) -> Any:
    """What cannot be read is refused here already, by the name under which it was said."""
    try:
        match name:
            case "batch" | "max_surge" | "max_unavailable":
                amount(value, said_as)
            case "max_failure_ratio":
                share_of(value)
            case "gate":
                return _gates(value)
            case _ if name in TIMED:
                return _duration(value, zero=name in MAY_BE_ZERO)
    except ValueError as error:
        id, fix = REFUSED_AS.get(name, ("duration", "30s"))
        raise UsageError(id=id, what=f"{said_as}: {error}", fix=f"{said_as}={fix}") from error
    return value


def _gates(texts: list[str]) -> tuple[str, ...]:
    if list(texts) == ["none"]:
        return ()
    for text in texts:
        gate_of(text)
    return tuple(texts)


def _duration(text: str, *, zero: bool) -> float:
    """`500ms`, `10s`, `5m` in seconds."""
    value = seconds(text)
    if value <= 0 and not zero:
        raise ValueError(f"{text} leaves no time at all")
    return value
