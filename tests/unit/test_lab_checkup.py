"""`lab doctor`: every line with its fix, and what a lock wants on this machine."""

import sys
from pathlib import Path

import pytest

from lab.assembly import Lab
from lab.checkup import Check, Mark, check, checkup_lines, problems
from lab.operations.doctor import examine, pins_of
from lab.project import Project
from tests.golden_files import check as golden

FOUND = (
    check("python", True, "Python 3.13.1", "use another"),
    check("disk", False, "1 GiB of disk free (4 wanted)", "make room: docker system df shows what Docker holds"),
    check("packages", False, "Not the locked packages: rich 13.0, not 14.1", "make setup", otherwise=Mark.WARNING),
    check(
        "images",
        False,
        "Images missing: postgres, app",
        "lab build, where there is a network\nor lab images load FILE",
    ),
    Check(id="docker", mark=Mark.PROBLEM, what="no Docker engine answers: unix:///var/run/docker.sock", fix="start it"),
)


def test_what_is_missing_reads_as_its_golden_file() -> None:
    golden("lab/doctor", "\n".join(checkup_lines(FOUND)) + "\n")


def test_all_is_well_reads_so_and_a_warning_is_no_problem() -> None:
    assert checkup_lines(FOUND[:1]) == ["[✔] Python 3.13.1", "All is well."]
    assert checkup_lines(FOUND[:3])[-1] == "1 problem, 1 warning."
    assert problems(FOUND[2:3]) == 0
    assert checkup_lines(FOUND[2:3])[-1] == "1 warning."


def test_what_is_good_has_no_fix_and_what_is_not_has_one() -> None:
    assert [bool(one.fix) for one in FOUND] == [False, True, True, True, True]


def test_a_lock_s_marker_leaves_out_what_this_machine_does_not_need() -> None:
    here, elsewhere = sys.platform, "win32" if sys.platform != "win32" else "linux"
    lock = (
        "aiohttp==3.14.5 \\\n    --hash=sha256:ab\n"
        f"uvloop==0.22.1 ; sys_platform == '{here}' \\\n    --hash=sha256:cd\n"
        f"colorama==0.4.6 ; sys_platform == '{elsewhere}' \\\n    --hash=sha256:ef\n"
    )

    assert pins_of(lock) == [("aiohttp", "3.14.5"), ("uvloop", "0.22.1")]


def test_no_engine_and_a_broken_manifest_are_lines_of_their_own_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.endpoint._known_sockets", lambda *_: [])
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    (tmp_path / "compose").mkdir()
    (tmp_path / "compose/lab.yaml").write_text("services: {web: {x-lab: {}, ports: ['1:1']}}")
    found = {
        one.id: one
        for one in examine(Lab(project=Project(name="x", home=tmp_path, folder=tmp_path / ".lab/x")), offline=True)
    }

    assert (found["docker"].mark, found["manifest"].mark) == (Mark.PROBLEM, Mark.PROBLEM)
    assert "services.web.ports" in found["manifest"].what
    assert "lab.yaml:1" in found["manifest"].what
    assert found["docker"].fix
    assert "images" not in found
