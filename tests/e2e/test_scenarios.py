"""Four changes on real containers, under traffic: what a naive form breaks is found; the safe form breaks nothing."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import LabCommand
from tests.scenario_rolls import ScenarioLab
from tests.scenarios import scenarios

pytestmark = pytest.mark.docker
NAMES = ("split-column", "drop-column", "lock-queue", "select-star")
# the safe form of the split is the sample app's own way: test_main_job.py and test_schema.py take it
FORMS = [*((name, "naive") for name in NAMES), *((name, "safe") for name in NAMES[1:])]


@pytest.fixture(scope="module")
def world(new_lab: Callable[[str], LabCommand], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScenarioLab]:
    chosen = [scenarios()[name] for name in NAMES]
    with pytest.MonkeyPatch.context() as patched:
        yield ScenarioLab(new_lab("scenario"), chosen, tmp_path_factory.mktemp("lab"), setenv=patched.setenv)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_naive_change_is_seen_in_live_traffic_and_a_safe_one_drops_nothing(
    world: ScenarioLab, name: str, form: str
) -> None:
    scenario = scenarios()[name]

    rolled = world.roll(scenario, form)

    assert rolled.wrong(scenario, form) == []
