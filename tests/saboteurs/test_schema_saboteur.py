"""P9: no step of a rollout takes the schema from a version that runs. A plan read without that rule is seen."""

from types import SimpleNamespace
from typing import Any

import pytest

from lab.errors import LabError
from lab.migrate import ChangePlan, Phase
from lab.model import Revision, SchemaMode
from lab.operations.request import RollRequest
from lab.operations.roll import schema_steps

V1, V2 = (Revision(number=n, version=f"v{n}", serves_as=f"v{n}", image_id="", spec="{}") for n in (1, 2))


def plan(*serves: str) -> ChangePlan:
    """Phases p0, p1, .. with the versions that each serves."""
    phases = [
        Phase(name=f"p{n}", serves=frozenset(versions.split()), up=None, backfill=None, verify=None)
        for n, versions in enumerate(serves)
    ]
    return ChangePlan(id="change", phases=tuple(phases))


CONTRACTING = [plan("v1", "v2", "v1 v2"), plan("v1", "", "v1 v2"), plan("v1 v0", "v1 v2")]
EXPANDING = plan("v1", "v1", "v1 v2", "v2")


def steps(change: ChangePlan, mode: SchemaMode = SchemaMode.AUTO) -> list[str]:
    """What a roll from v1 to v2 does to a schema in p0. LabError: it is refused."""
    lab: Any = SimpleNamespace(plan=change, database=lambda: SimpleNamespace(query=lambda _: [("p0",)]))
    return [step.name for step in schema_steps(lab, RollRequest(version="v2", schema=mode), V1, V2)[0]]


def takes_away(change: ChangePlan, names: list[str]) -> set[str]:
    """The check: versions that some phase on the way, p0 included, served and a later one does not."""
    served: set[str] = set()
    lost: set[str] = set()
    for name in ["p0", *names]:
        lost |= served - change.phase(name).serves
        served |= change.phase(name).serves
    return lost


def test_the_way_that_is_chosen_takes_no_version_away() -> None:
    assert steps(EXPANDING) == ["p1", "p2"]
    assert takes_away(EXPANDING, ["p1", "p2"]) == set()


@pytest.mark.parametrize("change", CONTRACTING)
def test_a_roll_whose_only_way_contracts_is_refused(change: ChangePlan) -> None:
    with pytest.raises(LabError) as failure:
        steps(change)
    assert (failure.value.id, failure.value.exit_code) == ("schema-does-not-serve", 3)


def test_as_is_no_step_is_taken() -> None:
    with pytest.raises(LabError, match="which does not serve v2"):
        steps(EXPANDING, SchemaMode.AS_IS)


@pytest.mark.parametrize("change", CONTRACTING)
def test_a_plan_that_is_read_without_the_rule_is_seen(monkeypatch: pytest.MonkeyPatch, change: ChangePlan) -> None:
    def first_that_serves(plan: ChangePlan, phase: str, versions: set[str]) -> tuple[Phase, ...]:
        way = plan.phases[plan.index(phase) + 1 :]
        return way[: next(n for n, step in enumerate(way, start=1) if versions <= step.serves)]

    monkeypatch.setattr(ChangePlan, "way_to_serve", first_that_serves)
    assert takes_away(change, steps(change))
