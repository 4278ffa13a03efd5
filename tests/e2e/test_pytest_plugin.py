"""The plugin on real containers: the README's lines, what a failure says, and what `kill -9` leaves to the next run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.assembly import Lab
from lab.images import Kind, ensure_base
from lab.lease import this_machine, this_process
from lab.ownership import owner_to_text
from lab.project import project_at
from lab.testing.factory import Factory
from tests.e2e.conftest import ROOT, LabCommand, docker_names

pytestmark = pytest.mark.docker
README = (ROOT / "README.md").read_text()
OWNED = "label=rollinglab.owner"
EMPTY_TAR = bytes(10_240)


@pytest.fixture
def test_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "test_it.py"
        path.write_text(text)
        return path

    return write


def pytest_of(path: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-p", "lab.pytest_plugin", "-p", "no:cacheprovider", *words, str(path)]


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}


def ran(path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """pytest with the plugin, on that file, in a folder that is not ours."""
    argv, home = pytest_of(path, *words, f"--rootdir={path.parent}"), path.parent
    return subprocess.run(argv, cwd=home, env=environ(), capture_output=True, text=True, timeout=200, check=False)


def test_the_lines_of_the_readme_work_and_leave_their_artefacts_and_nothing_else(
    test_file: Callable[[str], Path], tmp_path: Path
) -> None:
    lines = re.search(r"```python\n(import pytest\n.*?)```", README, re.DOTALL)
    assert lines is not None
    path = test_file(lines[1] + "    (lambda p: open(p, 'w').write(lab.project))(__file__ + '.project')\n")

    done = ran(path, "--lab-require", "--lab-artifacts", str(tmp_path / "out"))

    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = (tmp_path / "out").iterdir()
    told = json.loads((folder / "test.json").read_text())
    assert told["test"].endswith("::test_the_new_version_drops_nothing")
    (run,) = told["runs"]
    assert {"verdict.json", "report.txt", "client.jsonl", "proxy.jsonl", "events.jsonl"} <= {
        file.name for file in (folder / run).iterdir()
    }
    project = Path(f"{path}.project").read_text()
    assert everything_of(project) == []
    assert not (ROOT / ".lab" / project).exists()


SIDE_BY_SIDE = """
import json, os, pathlib, time
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.mark.lab(replicas=1)
@pytest.mark.parametrize("me, other", [("a", "b"), ("b", "a")])
def test_it(lab, me, other):
    status = lab.status()
    worker = os.environ["PYTEST_XDIST_WORKER"]
    (HERE / f"{me}.json").write_text(json.dumps([lab.project, lab.url, worker, status["ready"]]))
    until = time.monotonic() + 90
    while not (HERE / f"{other}.json").exists():  # both are up now
        assert time.monotonic() < until
        time.sleep(0.05)
"""


def test_under_xdist_each_worker_has_a_lab_a_network_and_a_port_of_its_own(
    test_file: Callable[[str], Path], tmp_path: Path
) -> None:
    done = ran(test_file(SIDE_BY_SIDE), "-n", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    told = [json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json")]
    for first, second in zip(*(one[:3] for one in told), strict=True):
        assert first != second
    assert [ready for *_, ready in told] == [1, 1]
    assert [everything_of(project) for project, *_ in told] == [[], []]


KILLED = """
import sys
import pytest

@pytest.mark.lab(replicas=1, rate=20, slow="700ms")
def test_it(lab):
    print("UP", lab.project, file=sys.__stderr__, flush=True)
    lab.roll("v2")
"""
PHASES = {
    "while Compose makes the network and the database": lambda owned: any("network" in one for one in owned),
    "while the fleet comes up": lambda owned: any("-app-" in one for one in owned),
    "in the middle of a roll under load": lambda owned: any(one.endswith("-load") for one in owned),
}


@pytest.mark.parametrize("phase", PHASES)
def test_what_a_run_killed_by_sigkill_leaves_is_removed_by_the_next_one_and_nothing_of_others(
    phase: str, test_file: Callable[[str], Path], tmp_path: Path, lab_factory: Factory, strangers: list[str]
) -> None:
    with subprocess.Popen(
        pytest_of(test_file(KILLED), "-s", f"--rootdir={tmp_path}"),
        cwd=tmp_path,
        env=environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as killed:
        wait_for(lambda: PHASES[phase](things_of(killed.pid)), "the phase")
        os.kill(killed.pid, signal.SIGKILL)

    removed = lab_factory.tidy()

    assert len(removed) == 1
    assert things_of(killed.pid) == []
    wait_for(lambda: commands_of(removed[0]) == [], "the commands that it had begun to end")
    assert everything_of(removed[0].removeprefix("lab-")) == []
    assert set(strangers) <= set(docker_names("network", "ls", "--format", "{{.Name}} -", prefix="lab-stranger-"))


@pytest.fixture
def strangers() -> Iterator[list[str]]:
    """Networks of labs whose owners live: one on another host, who may, and this process, which does."""
    owners = {"far": "elsewhere/b/1/1", "near": owner_to_text(this_process(ROOT))}
    names = []
    for where, owner in owners.items():
        project = f"lab-stranger-{where}-{os.getpid()}"
        labels = {"com.docker.compose.project": project, "rollinglab.owner": owner}
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        names.append(f"{project}_default")
        subprocess.run(["docker", "network", "create", *words, names[-1]], check=True, capture_output=True)
    yield names
    subprocess.run(["docker", "network", "rm", *names], check=True, capture_output=True)


def things_of(pid: int) -> list[str]:
    """The containers, networks and volumes of the labs that belong to that process, by name."""
    found = []
    for kind in ("container", "network", "volume"):
        shape = "{{.Names}}" if kind == "container" else "{{.Name}}"
        words = ["docker", kind, "ls", "--filter", OWNED, "--format", f'{{{{.Label "rollinglab.owner"}}}} {shape}']
        words += ["-a"] if kind == "container" else []
        lines = subprocess.check_output(words, text=True).splitlines()
        found += [line.split()[1] for line in lines if line.split("/")[2] == str(pid)]
        found += [kind] if any(line.split("/")[2] == str(pid) for line in lines) else []
    return found


def everything_of(project: str) -> list[str]:
    names = docker_names("ps", "-a", "--format", "{{.Names}} -", prefix=f"lab-{project}")
    names |= docker_names("network", "ls", "--format", "{{.Name}} -", prefix=f"lab-{project}_")
    names |= docker_names("volume", "ls", "--format", "{{.Name}} -", prefix=f"lab-{project}_")
    return list(names)


def commands_of(project: str) -> list[str]:
    """The processes of this host that work on it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "lab.tied" in line and project.removeprefix("lab-") in line:
            found.append(line)
    return found


def wait_for(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.05)


def test_gc_finds_the_lab_of_a_run_that_was_killed_and_leaves_one_that_was_kept() -> None:
    machine, names = this_machine(), (f"t-dead-{os.getpid()}", f"t-kept-{os.getpid()}")
    keep_folder = ROOT / ".lab" / names[1]
    keep_folder.mkdir(parents=True)
    (keep_folder / "kept").touch()
    made = []
    try:
        for name in names:
            labels = {"com.docker.compose.project": f"lab-{name}"}
            labels["rollinglab.owner"] = f"{machine.host}/{machine.boot}/{2**30}/1"
            words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
            made.append(
                subprocess.check_output(["docker", "create", *words, ensure_base(Kind.PYTHON)], text=True).strip()
            )
        found = LabCommand("e2e-gc")("gc", "--dry-run", "--json").json["found"]
    finally:
        subprocess.run(["docker", "rm", "-f", *made], check=True, capture_output=True)
        (keep_folder / "kept").unlink()
        keep_folder.rmdir()

    (left,) = (one for one in found if one["name"].startswith(("lab-t-dead-", "lab-t-kept-")))
    assert (left["name"], left["why"]) == (f"lab-{names[0]}", "the process that it belonged to is gone")


def test_gc_finds_an_image_of_ours_that_no_lab_uses_and_none_that_a_container_was_made_of() -> None:
    """The engine's own list and refusal; the real removal is of these two alone, by the piece that gc removes with."""
    names = [f"rollinglab-of-a-test:{os.getpid()}-{which}" for which in ("unused", "used")]
    host, lab = Lab(project=project_at(ROOT, "default")).host, LabCommand("e2e-gc")
    try:
        for name in names:
            words = ["--change", "LABEL rollinglab.part=of-a-test", "--message", name, "-", name]
            subprocess.run(["docker", "import", *words], input=EMPTY_TAR, check=True, capture_output=True)
        made = subprocess.check_output(["docker", "create", names[1], "none"], text=True).strip()
        found = {one["id"]: one for one in lab("gc", "--dry-run", "--older-than", "0s", "--json").json["found"]}
        removed = [host.remove_image(name) for name in names]
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "rmi", *names], check=False, capture_output=True)

    assert found[names[0]]["why"] == "no lab uses it, made less than a minute ago"
    assert names[1] not in found
    assert removed == [True, False]
