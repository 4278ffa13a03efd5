"""PURE: what a run is told as from its first moment: the journal's `run-started`, so that whoever goes on knows it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lab.load_choice import Arrivals, LoadSpec
from lab.model import LoadFrom, RolloutSpec, SchemaMode
from lab.proof import Command
from lab.spec_codec import spec_from_json, spec_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`steps`: the schema's phases that are reached before the rollout begins. `measured` False: there is no load.

    `seconds`, `requests`: after so much of it the load ends by itself, and the run with it. None: it goes on.
    `web`: the port of Locust's own page.
    """

    command: Command
    from_version: str
    to_version: str
    spec: RolloutSpec
    steps: tuple[str, ...] = ()
    schema_before: str | None = None
    schema_mode: SchemaMode = SchemaMode.AUTO
    marks: tuple[str, ...] = ()
    measured: bool = True
    load: LoadSpec = field(default_factory=LoadSpec)
    seconds: float | None = None
    requests: int | None = None
    web: int | None = None
    continues: str | None = None


def account_to_json(account: Account) -> dict[str, Any]:
    """What the load is to offer stands beside the rest."""
    about = asdict(account)
    about |= about.pop("load")
    return about | {"spec": spec_to_json(account.spec), "steps": list(account.steps), "marks": list(account.marks)}


def account_from_json(data: Mapping[str, Any]) -> Account:
    """A key that is not there has its default; one that is unknown is a TypeError."""
    read = dict(data)
    read["command"], read["spec"] = Command(read["command"]), spec_from_json(read["spec"])
    read["schema_mode"] = SchemaMode(read["schema_mode"])
    read["steps"], read["marks"] = tuple(read["steps"]), tuple(read["marks"])
    load = {name: read.pop(name) for name in _OF_THE_LOAD if name in read}
    load["load_from"] = LoadFrom(load["load_from"])
    load["arrivals"] = Arrivals(load.get("arrivals", Arrivals.FIXED))
    return Account(**read, load=LoadSpec(**load))


_OF_THE_LOAD = tuple(one.name for one in fields(LoadSpec))
