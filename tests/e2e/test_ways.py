"""Ways to roll other than wave after wave, on real containers: none of them drops a request."""

from collections.abc import Callable

import pytest

from tests.e2e.conftest import LabCommand, assert_clean

pytestmark = pytest.mark.docker

GENTLY = ("--rate", "50", "--min-requests", "200")
"""For a while one replica answers them all, while the other's successor starts on the same processors."""


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> LabCommand:
    lab = new_lab("e2e-ways")
    lab.up("--replicas", "2")
    return lab


def test_within_surge_and_unavailable_replicas_are_replaced_as_soon_as_the_budgets_allow(lab: LabCommand) -> None:
    assert_clean(lab.roll("roll", "v2", "--max-surge", "1", "--max-unavailable", "1", *GENTLY))

    assert [replica["version"] for replica in lab.status()["replicas"]] == ["v2"] * 2


def test_while_a_fleet_is_recreated_nobody_serves_and_the_proxy_holds_what_comes(lab: LabCommand) -> None:
    done = lab("roll", "v1", "--like", "recreate", *GENTLY, "--json")

    assert_clean(done.json)
    assert "note: for a while nobody serves: requests wait in the proxy\n" in done.err
    assert [replica["version"] for replica in lab.status()["replicas"]] == ["v1"] * 2
