"""One rule says whether a version may run on a phase, whichever command asks."""

import pytest

from lab.errors import LabError
from lab.migrate import Ask, ChangePlan, Phase, way_of
from lab.model import SchemaMode

AS_IS = SchemaMode.AS_IS


def phase(name: str, *serves: str, **more: str) -> Phase:
    return Phase(name=name, serves=frozenset(serves), up=None, backfill=None, verify=None, **more)


PLAN = ChangePlan(
    id="change",
    versions=("v1", "v2"),
    phases=(phase("base", "v1"), phase("more", "v1"), phase("both", "v1", "v2"), phase("less", "v2", min_app="v2")),
)


@pytest.mark.parametrize(
    ("now", "ask", "steps", "unserved"),
    [
        ("base", Ask(source="v1", target="v2"), ["more", "both"], ()),
        ("both", Ask(source="v1", target="v2"), [], ()),
        ("both", Ask(source="v2", target="v1", mode=AS_IS), [], ()),
        ("less", Ask(source="v2", target="v2"), [], ()),
        ("base", Ask(source="v1", target="v1", mode=AS_IS), [], ()),
        # going back: what is wrong with the version that leaves stops nobody, and takes no step
        ("base", Ask(source="v2", target="v1", leaving=True), [], ()),
        ("more", Ask(source="v1", target="v2", leaving=True), ["both"], ()),
        # nothing runs yet
        ("none", Ask(target="v1"), ["base"], ()),
        ("none", Ask(target="v2"), ["base", "more", "both"], ()),
        ("none", Ask(target="v2", mode=AS_IS, anyway=True), ["base"], ("v2",)),
        # although
        ("base", Ask(source="v1", target="v2", mode=AS_IS, anyway=True), [], ("v2",)),
        ("more", Ask(source="v2", target="v9", anyway=True), [], ("v2", "v9")),
    ],
)
def test_a_version_runs_where_it_is_served_or_the_steps_lead_there(
    now: str, ask: Ask, steps: list[str], unserved: tuple[str, ...]
) -> None:
    way = way_of(PLAN, now, {}, ask)

    assert (way.start, [step.name for step in way.steps], way.unserved) == (now, steps, unserved)


@pytest.mark.parametrize(
    ("now", "gone", "ask", "id", "fix"),
    [
        ("base", {}, Ask(source="v1", target="v2", mode=AS_IS), "schema-does-not-serve", "lab migrate expand; or"),
        ("base", {}, Ask(target="v2", mode=AS_IS), "schema-does-not-serve", "--schema auto"),
        ("base", {}, Ask(source="v1", target="v9"), "schema-does-not-serve", "takes nothing away leads to a phase"),
        ("less", {}, Ask(source="v2", target="v1"), "version-gone", "roll a version that the schema serves"),
        ("less", {}, Ask(source="v2", target="v1", anyway=True, leaving=True), "version-gone", "lab migrate status"),
        ("both", {"v1": "less"}, Ask(source="v2", target="v1", anyway=True), "version-gone", "lab migrate status"),
    ],
)
def test_where_no_step_may_lead_it_is_refused_with_the_command_that_helps(
    now: str, gone: dict[str, str], ask: Ask, id: str, fix: str
) -> None:
    with pytest.raises(LabError) as failure:
        way_of(PLAN, now, gone, ask)

    assert (failure.value.id, failure.value.exit_code) == (id, 3)
    assert fix in failure.value.fix
