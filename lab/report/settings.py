"""With what a run was made, as its journal tells it, and the command that makes it again."""

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.gates import Gate, Measure
from lab.ports import Event
from lab.proof.records import Command
from lab.proof.result import RunEcho

DEFAULT, CHOSEN = "default", "flag, environment or manifest"
"""Which of the three the journal does not tell."""

SECONDS = frozenset(
    {
        "ready_timeout",
        "drain_timeout",
        "progress_timeout",
        "hold_timeout",
        "wave_bake",
        "bake",
        "slow",
        "request_timeout",
    }
)
USUAL: Mapping[str, Any] = {
    "strategy": "waves",
    "surge": 1,
    "unavailable": 0,
    "on_fail": "rollback",
    "ready_timeout": 30.0,
    "drain_timeout": 30.0,
    "progress_timeout": 600.0,
    "hold_timeout": 0.0,
    "wave_bake": 0.0,
    "bake": 0.0,
    "gates": [],
    "retries": 0,
    "max_failure_ratio": 0.0,
    "rate": 100.0,
    "slow": None,
    "request_timeout": 30.0,
    "cohorts": "",
    "shape": "steady",
    "arrivals": "fixed",
    "workers": 1,
    "locustfile": "",
    "min_requests": 500,
    "load_from": "container",
    "schema_mode": "auto",
    "measured": True,
}
"""What the lab's own manifest makes of a command without options."""


OF_ONE_RUN = frozenset({"seed", "replicas", "seconds", "requests"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    name: str
    value: str
    origin: str


def settings_of(events: Sequence[Event]) -> tuple[Setting, ...]:
    told = _told(events)
    return tuple(
        Setting(
            name=name.replace("_", " "),
            value=_value(name, told[name]),
            origin="" if name not in USUAL else DEFAULT if told[name] == USUAL[name] else CHOSEN,
        )
        for name in ("replicas", *USUAL, "seed")
        if name in told
    )


def command_of(run: RunEcho, events: Sequence[Event]) -> str:
    """Return the command that asks for the same again."""
    told = _told(events)
    words = ["lab", *_verb(run, told)]
    words += [] if run.project == "default" else ["--project", run.project]
    for name, flag in FLAGS.items():
        if name in told and told[name] != USUAL[name]:
            words += flag(told[name])
    words += ["--seed", str(told["seed"])] if told.get("seed", 1) != 1 else []
    words += [f"--{mark}" for mark in run.marks if mark == "anyway"]
    return shlex.join([*words, *(() if run.command is Command.LOAD else _way(told))])


def _verb(run: RunEcho, told: Mapping[str, Any]) -> Iterator[str]:
    match run.command:
        case Command.ROLL:
            yield from ("roll", run.to_version)
        case Command.ROLLBACK:
            yield "rollback"
        case Command.LOAD:
            yield from ("load", "run")
            if told.get("seconds") is not None:
                yield from ("--duration", f"{told['seconds']:g}s")
            if told.get("requests") is not None:
                yield from ("--requests", str(told["requests"]))


def _told(events: Sequence[Event]) -> dict[str, Any]:
    """The rollout's spec, and what its run and its load say besides."""
    told: dict[str, Any] = {}
    for event in events:
        if event.type == "rollout-started":
            told |= {"replicas": event.data["replicas"], **event.data.get("spec", {})}
        elif event.type in {"run-started", "load-started"}:
            told |= {name: value for name, value in event.data.items() if name in USUAL or name in OF_ONE_RUN}
    return told


def _value(name: str, value: Any) -> str:
    if name == "gates":
        return ", ".join(map(_gate, value)) or "none"
    if name == "slow" and value is None:
        return "by the rate"
    if name in SECONDS:
        return f"{value:g} s"
    if name in {"cohorts", "locustfile"} and not value:
        return "the lab's own"
    if name == "measured":
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _gate(gate: Mapping[str, Any]) -> str:
    return str(Gate(measure=Measure(gate["measure"]), limit=gate["limit"]))


def _option(name: str) -> Callable[[Any], list[str]]:
    return lambda value: [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]


def _duration(name: str) -> Callable[[Any], list[str]]:
    return lambda value: [f"--{name}", f"{value:g}s"]


FLAGS: Mapping[str, Callable[[Any], list[str]]] = {
    **{name: _duration(name.replace("_", "-")) for name in sorted(SECONDS)},
    "on_fail": _option("on-fail"),
    "retries": _option("retries"),
    "max_failure_ratio": _option("max-failure-ratio"),
    "gates": lambda gates: [word for gate in gates for word in ("--gate", _gate(gate))],
    "rate": _option("rate"),
    **{name: _option(name) for name in ("cohorts", "shape", "arrivals", "workers", "locustfile")},
    "min_requests": _option("min-requests"),
    "load_from": _option("load-from"),
    "schema_mode": _option("schema"),
    "measured": lambda _: ["--no-load"],
}


def _way(told: Mapping[str, Any]) -> Iterator[str]:
    surge, unavailable = told.get("surge", 1), told.get("unavailable", 0)
    match told.get("strategy", "waves"):
        case "recreate":
            yield from ("--like", "recreate")
        case "rolling":
            yield from ("--max-surge", str(surge), "--max-unavailable", str(unavailable))
        case _ if surge == 0:
            yield from ("--order", "stop-first", "--batch", str(unavailable))
        case _ if surge > 1:
            yield from ("--batch", str(surge))
