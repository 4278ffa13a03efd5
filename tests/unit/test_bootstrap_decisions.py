import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lab.bootstrap import browser, engine, packages, shim
from lab.bootstrap.engine import Plan, Start
from lab.bootstrap.environment import Stamp
from lab.bootstrap.machine import Machine, is_debian
from lab.bootstrap.packages import Present
from lab.bootstrap.shim import Choice, Found

HOME = Path("/home/ada")
LOCAL = HOME / ".local/bin"
ROOT_ON_DEBIAN = Machine(debian=True, root=True, may_install=True, systemd=False)
NOTHING = Present(engine=False, compose=False, base_images=False, mmdebstrap=False, keyring=False)
EVERYTHING = Present(engine=True, compose=True, base_images=True, mmdebstrap=True, keyring=True)


def choose(
    *folders: str, root: bool = False, lab: dict[str, Found] | None = None, readonly: tuple[str, ...] = ()
) -> Choice:
    return shim.choose(
        [Path(folder) for folder in folders],
        HOME,
        root=root,
        writable=lambda folder: str(folder) not in readonly,
        found=lambda folder: (lab or {}).get(str(folder), Found.NOTHING),
    )


def test_the_shim_goes_to_the_users_own_folder_when_that_is_on_the_path():
    assert choose("/usr/bin", f"{HOME}/bin", str(LOCAL)) == Choice(folder=LOCAL)


def test_only_root_puts_the_shim_into_usr_local_bin():
    assert choose("/usr/local/bin", "/usr/bin", root=True) == Choice(folder=Path("/usr/local/bin"))
    assert choose("/usr/local/bin", "/usr/bin") == Choice()


def test_any_writable_folder_of_the_path_below_home_will_do_but_not_a_version_managers():
    assert choose(f"{HOME}/.pyenv/shims", f"{HOME}/go/bin") == Choice(folder=HOME / "go/bin")
    assert choose(f"{HOME}/go/bin", readonly=(f"{HOME}/go/bin",)) == Choice()


def test_a_shim_of_ours_stays_where_it_is():
    assert choose(str(LOCAL), f"{HOME}/bin", lab={f"{HOME}/bin": Found.OURS}) == Choice(folder=HOME / "bin")


def test_a_foreign_lab_is_neither_replaced_nor_hidden():
    assert choose(str(LOCAL), "/usr/bin", lab={"/usr/bin": Found.FOREIGN}).foreign == Path("/usr/bin/lab")
    assert choose(str(LOCAL), lab={str(LOCAL): Found.FOREIGN}).foreign == LOCAL / "lab"


def test_relative_and_empty_entries_of_the_path_are_passed_over():
    assert shim.path_folders({"PATH": "/a::./b:/a:/c"}) == [Path("/a"), Path("/c")]


@pytest.fixture
def clones(tmp_path):
    """Two clones whose `lab` prints which one it is, and a shim made by the first."""
    for name in ("one", "it's two"):
        tool = tmp_path / name / ".venv/bin/lab"
        tool.parent.mkdir(parents=True)
        tool.write_text(f'#!/bin/sh\necho "{name}" "$@"\n')
        tool.chmod(0o755)
        (tmp_path / name / "lab/bootstrap").mkdir(parents=True)
        (tmp_path / name / "lab/bootstrap/__main__.py").touch()
        (tmp_path / name / "deep/er").mkdir(parents=True)
    file = tmp_path / "lab-shim"
    file.write_text(shim.script(tmp_path / "it's two"))
    file.chmod(0o755)
    return tmp_path


def call(clones: Path, folder: str) -> subprocess.CompletedProcess[str]:
    command = [str(clones / "lab-shim"), "roll", "a b"]
    return subprocess.run(command, cwd=clones / folder, capture_output=True, text=True, check=False, timeout=10)


def test_the_shim_runs_the_lab_of_the_clone_it_is_called_in(clones):
    assert call(clones, "one/deep/er").stdout == "one roll a b\n"


def test_the_shim_runs_the_lab_of_its_own_clone_everywhere_else(clones):
    assert call(clones, ".").stdout == "it's two roll a b\n"


def test_the_shim_says_so_when_its_clone_is_gone(clones):
    (clones / "it's two/.venv/bin/lab").unlink()

    done = call(clones, ".")

    assert done.returncode == 3
    assert "it's two" in done.stderr
    assert "make lab-up" in done.stderr


def test_the_shim_is_written_once_and_a_foreign_file_is_left_alone(tmp_path):
    environ = {"PATH": f"{tmp_path}/.local/bin{os.pathsep}/nowhere"}

    first = shim.ensure(tmp_path / "clone", environ, tmp_path, root=False)
    second = shim.ensure(tmp_path / "clone", environ, tmp_path, root=False)
    moved = shim.ensure(tmp_path / "other", environ, tmp_path, root=False)

    assert (first[0], second[0], moved[0]) == (True, False, True)
    assert os.access(tmp_path / ".local/bin/lab", os.X_OK)
    (tmp_path / ".local/bin/lab").write_text("#!/bin/sh\n")
    with pytest.raises(shim.LabError, match="another command"):
        shim.ensure(tmp_path / "clone", environ, tmp_path, root=False)
    assert (tmp_path / ".local/bin/lab").read_text() == "#!/bin/sh\n"


def test_without_a_writable_folder_on_the_path_it_is_said_what_to_add(tmp_path):
    changed, note = shim.ensure(tmp_path / "clone", {"PATH": "/nowhere"}, tmp_path, root=False)

    assert changed
    assert f'export PATH="{tmp_path}/.local/bin:$PATH"' in note
    assert (tmp_path / ".local/bin/lab").exists()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ID=debian\nVERSION_ID=12\n", True),
        ("NAME=Mint\nID=linuxmint\nID_LIKE='ubuntu debian'\n", True),
        ('ID="fedora"\nID_LIKE="rhel"\n', False),
        ("VARIANT_ID=debian\n", False),
        ("", False),
    ],
)
def test_debian_and_its_children_are_known_by_their_os_release(text, answer):
    assert is_debian(text) is answer


@pytest.mark.parametrize(
    ("offered", "compose"),
    [
        ({"docker-compose"}, ("docker-compose",)),
        ({"docker-compose", "docker-cli"}, ("docker-compose", "docker-cli")),
        ({"docker-compose", "docker-compose-v2"}, ("docker-compose-v2",)),
    ],
    ids=["Debian 12", "Debian 13", "Ubuntu 24.04"],
)
def test_compose_comes_from_the_package_that_the_release_has(offered, compose):
    chosen = packages.choose(NOTHING, offered)

    assert chosen == ("docker.io", *compose, "mmdebstrap", "debian-archive-keyring")


def test_what_is_there_is_not_installed():
    assert packages.choose(EVERYTHING, {"docker-compose"}) == ()
    assert packages.choose(replace(EVERYTHING, engine=False), ()) == ("docker.io",)
    assert packages.choose(replace(EVERYTHING, mmdebstrap=False), ()) == ()
    without_images = replace(EVERYTHING, mmdebstrap=False, base_images=False)
    assert packages.choose(without_images, ()) == ("mmdebstrap",)


def test_only_packages_with_a_candidate_are_offered():
    policy = "docker-cli:\n  Installed: (none)\n  Candidate: 26.1\ndocker-compose-v2:\n  Candidate: (none)\n"

    assert packages.offered(policy) == {"docker-cli"}


def test_a_bare_debian_gets_an_engine_started_by_what_runs_there():
    assert engine.plan(NOTHING, ROOT_ON_DEBIAN) == Plan(install=True, start=Start.OWN_SESSION)
    with_systemd = replace(ROOT_ON_DEBIAN, systemd=True)
    assert engine.plan(NOTHING, with_systemd) == Plan(install=True, start=Start.SYSTEMD)


def test_a_machine_that_has_everything_is_left_as_it_is():
    assert engine.plan(EVERYTHING, ROOT_ON_DEBIAN) == Plan()


@pytest.mark.parametrize(
    "machine",
    [
        replace(ROOT_ON_DEBIAN, may_install=False),
        replace(ROOT_ON_DEBIAN, root=False),
        replace(ROOT_ON_DEBIAN, debian=False),
    ],
    ids=["LAB_NO_INSTALL", "not root", "another distribution"],
)
def test_nothing_is_installed_or_started_where_that_is_not_ours_to_do(machine):
    assert engine.plan(NOTHING, machine).refusal
    assert engine.plan(replace(EVERYTHING, compose=False), machine).refusal
    only_images_missing = replace(EVERYTHING, base_images=False, mmdebstrap=False)
    assert engine.plan(only_images_missing, machine) == Plan()


STAMP = Stamp(clone="/a", python="3.12", profile="lab", digest="1")


def test_an_environment_for_the_tests_serves_the_lab_too_but_not_the_other_way_round():
    dev = replace(STAMP, profile="dev")

    assert dev.serves(STAMP)
    assert not STAMP.serves(dev)
    assert not replace(STAMP, digest="2").serves(STAMP)


def test_a_moved_clone_or_another_python_needs_a_fresh_environment():
    assert replace(STAMP, digest="2").reusable(STAMP)
    assert not replace(STAMP, clone="/b").reusable(STAMP)
    assert not replace(STAMP, python="3.13").reusable(STAMP)


class Packages(packages.Apt):
    """A release that offers some packages, and installs none of them."""

    def __init__(self, *offered: str) -> None:
        super().__init__(say=lambda _: None)
        self.offered = set(offered)
        self.installed: list[str] = []

    def offers(self, names):
        return self.offered & set(names)

    def install(self, packages):
        self.installed += packages
        raise shim.LabError(id="apt-install", what="no network", fix="")


@pytest.mark.parametrize(
    ("offered", "installed"),
    [
        (("chromium", "chromium-headless-shell"), ["chromium-headless-shell"]),
        (("chromium",), ["chromium"]),
        ((), []),
    ],
)
def test_the_tests_browser_is_the_smallest_there_is_and_its_lack_stops_nothing(monkeypatch, offered, installed):
    monkeypatch.setattr(browser, "find", lambda: None)
    apt = Packages(*offered)

    changed, note = browser.ensure(ROOT_ON_DEBIAN, apt)

    assert (changed, apt.installed) == (False, installed)
    assert "skipped" in note


def test_nothing_is_installed_where_a_browser_is_or_nothing_may_be_installed(monkeypatch):
    apt = Packages("chromium")
    monkeypatch.setattr(browser, "find", lambda: "/usr/bin/chromium")
    assert browser.ensure(ROOT_ON_DEBIAN, apt) == (False, "/usr/bin/chromium")
    monkeypatch.setattr(browser, "find", lambda: None)
    assert "sudo apt-get" in browser.ensure(replace(ROOT_ON_DEBIAN, root=False), apt)[1]
    assert apt.installed == []
