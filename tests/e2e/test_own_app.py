"""An app that is not ours: plain WSGI on gunicorn, which knows nothing of the lab and closes kept connections early."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.compose_v2 import environ_with
from tests.e2e.conftest import ROOT, LabCommand, assert_clean
from tests.own_image import SHOP, build

pytestmark = pytest.mark.docker
STARTED = ("--service", "web", "--readiness", "/health", "--app-port", "8000", "--paths", "/,/items,/stock,/report")


@pytest.fixture(scope="module")
def lab(new_lab: Callable[[str], LabCommand]) -> Iterator[LabCommand]:
    for version in ("1.0", "2.0"):
        build(SHOP, "shop", version)
    lab = new_lab("e2e-shop")
    lab.up("-f", str(SHOP / "compose.yaml"), *STARTED)
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


CHECK = """
[ $$SHOP_VERSION != 3.0 ] || { echo it has no queue; exit 1; }
echo x >> /tmp/tries; [ $$(wc -l < /tmp/tries) -ge 3 ]
"""
"""A healthcheck that passes at the third time, long after the probes do, and of version 3.0 never."""


@pytest.fixture(scope="module")
def checked(new_lab: Callable[[str], LabCommand], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCommand]:
    """On Compose v2, from a file of one's own in which the rolled service has a healthcheck."""
    for version in ("1.0", "2.0", "3.0"):
        build(SHOP, "shop", version)
    file = tmp_path_factory.mktemp("own") / "compose.yaml"
    manifest = yaml.safe_load((SHOP / "compose.yaml").read_text())
    manifest["services"]["web"]["healthcheck"] = {"test": ["CMD-SHELL", CHECK], "interval": "1s", "retries": 3}
    file.write_text(yaml.safe_dump(manifest))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", environ_with("v2")["PATH"])
        lab = new_lab("e2e-shop-v2")
        lab.up("-f", str(file), "--replicas", "2", *STARTED)
        yield lab
    subprocess.run(["docker", "rmi", "shop:3.0"], capture_output=True, check=False)


def test_on_compose_v2_it_is_rolled_under_its_own_locustfile_and_joins_once_docker_calls_it_healthy(
    checked: LabCommand,
) -> None:
    own = ("--locustfile", str(SHOP / "shopper.py"), "--rate", "50", "--min-requests", "100")
    there = checked.roll("roll", "--image", "shop:2.0", *own)

    assert_clean(there)
    assert "the app keeps no ledger" in " ".join(there["notes"])
    run = ROOT / ".lab" / checked.project / "runs" / there["run"]["run"]
    offered = [json.loads(line) for line in (run / "client.jsonl").read_text().splitlines()]
    assert {row["cohort"] for row in offered if "cohort" in row} == {"look", "report"}
    assert {made_by_compose(name)[0] for name in checked.containers if "web" in name} == {"2"}
    rows = [json.loads(line) for line in checked("events", there["run"]["run"], "--json").out.splitlines()]
    done = [row for row in rows if row["type"] == "act-done"]
    at = {(row["data"]["verb"], row["data"]["replica"]): row["t_ns"] for row in done}
    waited = [at["admit", name] - at["join", name] for verb, name in at if verb == "admit"]
    assert len(waited) == 2
    assert min(waited) > 2e9, "its probes pass within 1.5 s, its healthcheck not before 3"


def test_one_that_docker_calls_unhealthy_never_joins_and_its_last_words_are_told(checked: LabCommand) -> None:
    done = checked("roll", "--image", "shop:3.0", "--no-load")

    assert done.exit_code == 1
    assert "never became ready: its healthcheck gave it up: it has no queue" in done.err + done.out
    assert {row["version"] for row in checked.status()["replicas"]} == {"2.0"}


def made_by_compose(name: str) -> str:
    form = '{{index .Config.Labels "com.docker.compose.version"}}'
    return subprocess.run(
        ["docker", "inspect", "--format", form, name], capture_output=True, text=True, check=True
    ).stdout.strip()
