"""`lab up`, killed in the middle. `make soak-updown` interrupts `up` and `down` before and after every step."""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import LabCommand
from tests.interrupted import Interruptions

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def it(new_lab: Callable[[str], LabCommand], tmp_path_factory: pytest.TempPathFactory) -> Interruptions:
    return Interruptions(new_lab("e2e-interrupted"), tmp_path_factory.mktemp("points"))


def test_killed_while_its_replicas_start_the_next_up_does_the_rest(it: Interruptions) -> None:
    assert it.interrupt("KILL", "after start#2", "up", then="up") == []
