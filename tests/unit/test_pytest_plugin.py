"""The plugin without an engine: what it imports, its options, its marker, and what it does where there is no Docker."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.testing.under_test import Wanted, flags, folder_name, project_name

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
HEAVY = {"aiohttp", "docker", "psycopg", "rich", "typer", "yaml", "locust", "hdrh"}


@pytest.fixture
def no_docker(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A machine where DOCKER_HOST leads nowhere, and no engine is in any of the usual places."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{pytester.path}/no.sock")
    monkeypatch.delenv("DOCKER_CONTEXT", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers\n")
    pytester.makeconftest("import lab.endpoint\nlab.endpoint._known_sockets = lambda *_: ()")
    return pytester


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "lab.pytest_plugin", "-p", "no:asyncio", *words)


def test_it_imports_none_of_the_lab_s_libraries() -> None:
    code = "import sys, lab.pytest_plugin; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert set(found.split()) & HEAVY == set()


def test_it_is_one_plugin_by_its_entry_point_and_by_its_name(no_docker: pytest.Pytester) -> None:
    """Whoever has the lab installed has it without a word; who says -p as well has it once."""
    no_docker.makepyfile(
        "def test_nothing(pytestconfig): assert pytestconfig.pluginmanager.has_plugin('lab.pytest_plugin')"
    )

    run(no_docker, "-p", "lab.pytest_plugin").assert_outcomes(passed=1)


def test_without_docker_a_test_is_skipped_with_the_reason_and_the_fix(no_docker: pytest.Pytester) -> None:
    no_docker.makepyfile("def test_a(lab): pass\ndef test_b(lab_module): pass\ndef test_c(): pass")

    result = run(no_docker, "-rs")

    result.assert_outcomes(skipped=2, passed=1)
    result.stdout.fnmatch_lines("*no lab here: *no.sock*")


def test_lab_require_turns_the_skip_into_a_failure(no_docker: pytest.Pytester) -> None:
    no_docker.makepyfile("def test_a(lab): pass")

    result = run(no_docker, "--lab-require")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines("*no lab here: *")


def test_the_marker_is_known_and_every_option_begins_with_lab(no_docker: pytest.Pytester) -> None:
    assert "@pytest.mark.lab(replicas=3" in run(no_docker, "--markers").stdout.str()
    listed = run(no_docker, "--help").stdout.str()
    group = listed.partition("a lab of containers for each test:")[2].partition("\n\n")[0]
    options = [word for line in group.splitlines() for word in line.split()[:1] if word.startswith("-")]
    assert options == ["--lab-require", "--lab-keep={never,failed,always}", "--lab-artifacts=DIR", "--lab-rate=N"]


def test_options_become_the_command_s_flags() -> None:
    given = {"order": "stop-first", "batch": 2, "no_load": True, "anyway": False, "rate": None, "gate": ["a=1", "b=2"]}

    assert flags(given) == ["--order", "stop-first", "--batch", "2", "--no-load", "--gate", "a=1", "--gate", "b=2"]


def test_a_marker_s_words_are_what_the_lab_is_started_with_and_what_a_roll_offers() -> None:
    wanted = Wanted(replicas=2, version="v2", schema="expanded", rate=50, file="c.yaml", app_port=8000)

    assert wanted.start() == [
        *("--replicas", "2", "--version", "v2", "--schema", "expanded", "--file", "c.yaml", "--app-port", "8000")
    ]
    assert flags(wanted.load()) == ["--rate", "50"]


def test_no_two_labs_have_one_name_and_a_test_s_folder_is_a_plain_one() -> None:
    names = {project_name("t", "gw3") for _ in range(50)} | {project_name("t", "") for _ in range(50)}

    assert len(names) == 100
    assert folder_name("tests/e2e/test_x.py::test_y[a/b c]") == "tests-e2e-test_x.py-test_y-a-b-c"
