"""PURE: what a run is told as from its first moment: the journal's `run-started`, so that whoever goes on knows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab.model import LoadFrom, RolloutSpec, SchemaMode
from lab.proof import Command
from lab.spec_codec import spec_from_json, spec_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`steps`: the schema's phases that are reached before the rollout begins. `measured` False: there is no load."""

    command: Command
    from_version: str
    to_version: str
    spec: RolloutSpec
    steps: tuple[str, ...] = ()
    schema_before: str | None = None
    schema_mode: SchemaMode = SchemaMode.AUTO
    marks: tuple[str, ...] = ()
    min_requests: int = 500
    measured: bool = True
    rate: float = 0.0
    slow: float | None = None
    load_from: LoadFrom = LoadFrom.CONTAINER
    continues: str | None = None


def account_to_json(account: Account) -> dict[str, Any]:
    about = asdict(account)
    return about | {"spec": spec_to_json(account.spec), "steps": list(account.steps), "marks": list(account.marks)}


def account_from_json(data: Mapping[str, Any]) -> Account:
    """A key that is not there has its default; one that is unknown is a TypeError."""
    read = dict(data)
    read["command"], read["spec"] = Command(read["command"]), spec_from_json(read["spec"])
    read["schema_mode"], read["load_from"] = SchemaMode(read["schema_mode"]), LoadFrom(read["load_from"])
    read["steps"], read["marks"] = tuple(read["steps"]), tuple(read["marks"])
    return Account(**read)
