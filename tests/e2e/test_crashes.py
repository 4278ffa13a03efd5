"""P4 on real containers: the `lab` process is killed by SIGKILL in the middle of a roll under traffic.

What goes on with it ends as if nothing had been. `make soak-crashes` does it at every point.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.crash_at import Passed
from tests.crash_docker import KINDS, LOAD, CrashLab, of_kind
from tests.e2e.conftest import ROOT, LabCommand, assert_clean
from tests.small_disk import fill, small_disk

pytestmark = pytest.mark.docker
SEED = 4


@pytest.fixture(scope="module")
def crash_lab(new_lab: Callable[[str], LabCommand], tmp_path_factory: pytest.TempPathFactory) -> CrashLab:
    lab = new_lab("crash-e2e")
    lab.up("--replicas", "3", "--schema", "backfilled")
    return CrashLab(lab, tmp_path_factory.mktemp("points"))


@pytest.fixture(scope="module")
def points(crash_lab: CrashLab) -> list[Passed]:
    """Of a roll that nobody kills; what is wrong with it is told here, where every test sees it."""
    passed, wrong = crash_lab.undisturbed("v2")
    assert wrong == []
    return passed


def test_every_record_and_every_effect_of_a_real_roll_is_a_point(points: list[Passed]) -> None:
    """The list is compared with the journal, and the journal with the simulator's own decisions, where it is made."""
    names = {point.name for point in points}

    assert {f"{at} {verb}" for at in ("before", "after") for verb in ("create", "join", "admit", "retire")} <= names
    assert len(points) > 100


@pytest.mark.parametrize(("kind", "version"), [*zip(KINDS, ("v1", "v2", "v1"), strict=True)])
def test_killed_there_the_roll_goes_on_and_ends_as_if_nothing_had_been(
    crash_lab: CrashLab, points: list[Passed], kind: str, version: str
) -> None:
    at = of_kind(kind, points, Random(f"{SEED} {kind}"))

    killed_at, wrong = crash_lab.killed(at, version)

    assert (killed_at, wrong) == (at, [])


@pytest.fixture
def on_a_small_disk(new_lab: Callable[[str], LabCommand]) -> Iterator[tuple[LabCommand, Path]]:
    """A lab whose folder is a file system of its own."""
    lab = new_lab("crash-disk")
    folder = ROOT / ".lab" / lab.project
    with small_disk(folder, size="64m"):
        yield lab, folder
        lab("down")


def test_a_full_disk_ends_the_command_with_its_place_and_with_room_the_roll_goes_on(
    on_a_small_disk: tuple[LabCommand, Path],
) -> None:
    lab, folder = on_a_small_disk
    lab.up("--replicas", "2", "--schema", "backfilled")
    with lab.begin("roll", "v2", *LOAD, "--json") as roll:
        assert roll.stderr is not None
        assert any("draining" in line for line in roll.stderr)
        filler = fill(folder)
        out, _ = roll.communicate(timeout=60)
    error = json.loads(out)["error"]
    assert (roll.returncode, error["id"], error["where"]) == (3, "journal-write", str(folder / "journal.db"))
    assert "full" in error["what"]
    assert "make room" in error["fix"]

    filler.unlink()
    assert_clean(lab.roll("resume"))
    assert [r["version"] for r in lab.status()["replicas"]] == ["v2"] * 2
