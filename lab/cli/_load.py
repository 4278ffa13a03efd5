"""The options of the load, each defined once; `loaded` gives them to a command, and hands it one LoadChoice."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from lab.cli._options import LOAD, slow_seconds, timeout_seconds
from lab.load_choice import Arrivals, LoadChoice
from lab.model import LoadFrom


def _option(name: str, help: str, metavar: str | None = None, *, min: int | None = None) -> Any:
    variable = f"LAB_{name.removeprefix('--').replace('-', '_').upper()}"
    return typer.Option(
        name, envvar=variable, help=help, metavar=metavar, min=min, rich_help_panel=LOAD, show_envvar=False
    )


EPILOG = (
    "What the load offers is also read from the environment (--rate from LAB_RATE) and from the manifest: "
    "flag > environment > manifest > default. Cohorts, shapes and locustfiles: docs/how-to/locustfile.md."
)
OPTIONS: Mapping[str, Any] = {
    "rate": Annotated[float | None, _option("--rate", "Requests a second: 100.", "N")],
    "slow": Annotated[
        str | None,
        _option(
            "--slow",
            "How long its slow requests take, so that something is in flight whenever a replica leaves.",
            "TIME",
        ),
    ],
    "request_timeout": Annotated[
        str | None,
        _option("--request-timeout", "How long an answer may take, from when its request was due: 30s.", "TIME"),
    ],
    "cohorts": Annotated[
        str | None,
        _option("--cohorts", "Which kinds of requests, by weight: read=3,write=1,slow=1.", "NAME=WEIGHT,.."),
    ],
    "shape_of_load": Annotated[
        str | None, _option("--shape", "steady, ramp:from=10,to=200,over=60 or spike:at=20,for=5,times=3.", "SHAPE")
    ],
    "arrivals": Annotated[Arrivals | None, _option("--arrivals", "At even distances, or by seeded chance: fixed.")],
    "workers": Annotated[int | None, _option("--workers", "How many processes offer it: 1.", "K", min=1)],
    "locustfile": Annotated[
        str | None, _option("--locustfile", "Users of your own, with the lab's ledger mix-in.", "FILE")
    ],
    "seed_of_load": Annotated[int | None, _option("--seed", "The same seed offers the same schedule: 1.", "S")],
    "min_requests": Annotated[int | None, _option("--min-requests", "Fewer than this is no verdict: 500.", "N")],
    "load_from": Annotated[
        LoadFrom | None, _option("--load-from", "Where the load runs; host for writing locustfiles: container.")
    ],
}


def loaded(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that takes `load` has these options instead, where `load` stands."""

    @wraps(command)
    def with_options(**given: Any) -> Any:
        own = {name: value for name, value in given.items() if name not in OPTIONS}
        return command(**own, load=_choice({name: given[name] for name in OPTIONS}))

    signature = inspect.signature(command, eval_str=True)
    kind, parameters = inspect.Parameter.KEYWORD_ONLY, []
    for name, parameter in signature.parameters.items():
        if name == "load":
            parameters += [inspect.Parameter(n, kind, default=None, annotation=OPTIONS[n]) for n in OPTIONS]
        else:
            parameters.append(parameter.replace(kind=kind))
    with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _choice(given: Mapping[str, Any]) -> LoadChoice:
    words = dict(given)
    file = words["locustfile"]
    return LoadChoice(
        shape=words.pop("shape_of_load"),
        seed=words.pop("seed_of_load"),
        slow=slow_seconds(words.pop("slow")),
        request_timeout=timeout_seconds(words.pop("request_timeout")),
        **{**words, "locustfile": str(Path(file).resolve()) if file else None},
    )
