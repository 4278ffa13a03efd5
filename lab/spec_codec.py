"""PURE: a rollout's spec as JSON and back: the journal keeps it, and a rollout that goes on reads it there."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from lab.gates import Gate, Measure
from lab.model import OnFail, RolloutSpec, Strategy


def spec_to_json(spec: RolloutSpec) -> dict[str, Any]:
    return asdict(spec)


def spec_from_json(data: Mapping[str, Any]) -> RolloutSpec:
    """A key that is not there has its default; one that is unknown is a TypeError."""
    read: dict[str, Callable[[Any], Any]] = {"strategy": Strategy, "on_fail": OnFail, "gates": _gates}
    return RolloutSpec(**{key: read[key](value) if key in read else value for key, value in data.items()})


def _gates(data: Any) -> tuple[Gate, ...]:
    return tuple(Gate(**{**gate, "measure": Measure(gate["measure"])}) for gate in data)
