"""An app that is not ours: plain WSGI on gunicorn, which knows nothing of the lab and closes kept connections early."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests import shop
from tests.e2e.conftest import LabCommand, assert_clean

pytestmark = pytest.mark.docker
STARTED = ("--service", "web", "--readiness", "/health", "--app-port", "8000", "--paths", "/,/items,/stock,/report")


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> Iterator[LabCommand]:
    for version in ("1.0", "2.0"):
        shop.build(version)
    lab = new_lab("e2e-shop")
    lab.up("-f", str(shop.FOLDER / "compose.yaml"), *STARTED)
    yield lab
    subprocess.run(["docker", "rmi", "shop:1.0", "shop:2.0"], capture_output=True, check=False)


def test_an_image_that_is_nowhere_is_refused_before_anything_is_touched(lab: LabCommand) -> None:
    before, runs = lab.containers, lab("report", "--list").out

    done = lab("roll", "--image", "shop:9.9")

    assert done.exit_code == 3
    assert "there is no image shop:9.9" in done.err
    assert "docker build -t shop:9.9" in done.err
    assert (lab.containers, lab("report", "--list").out) == (before, runs)


def test_it_is_rolled_from_tag_to_tag_and_back_with_nothing_dropped(lab: LabCommand) -> None:
    there = lab.roll("roll", "--image", "shop:2.0")
    assert_clean(there)
    assert (there["run"]["from_version"], there["run"]["to_version"]) == ("1.0", "2.0")
    assert set(there["versions"]) == {"1.0", "2.0"}
    assert "the app keeps no ledger" in " ".join(there["notes"])
    assert {row["version"] for row in lab.status()["replicas"]} == {"2.0"}

    # the tag is moved meanwhile: the revision is what it was made of
    subprocess.run(["docker", "tag", "shop:2.0", "shop:1.0"], check=True)
    assert_clean(lab.roll("rollback"))
    assert {row["version"] for row in lab.status()["replicas"]} == {"1.0"}
    with urllib.request.urlopen(lab.url, timeout=10) as answer:
        assert json.load(answer) == {"shop": "1.0"}


def test_a_later_command_knows_the_manifest_and_another_one_is_refused(lab: LabCommand) -> None:
    assert "Nothing to do" in lab("up").out

    done = lab("up", "-f", "compose/lab.yaml")

    assert done.exit_code == 3
    assert "was started with" in done.err
    assert "shop/compose.yaml --service web" in done.err


def test_its_own_services_run_beside_the_fleet_and_there_is_no_database_of_the_lab_s(lab: LabCommand) -> None:
    names = {name.removeprefix(f"lab-{lab.project}").lstrip("-_") for name in lab.containers}

    assert {name.partition(".")[0] for name in names if name.startswith("web")} == {"web-1", "web-2", "web-3"}
    assert {name.rstrip("-_1") for name in names if not name.startswith("web")} == {"stock", "proxy", "load"}
    assert lab("migrate", "status").exit_code == 3
