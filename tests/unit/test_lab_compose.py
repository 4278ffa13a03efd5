"""What Compose is called with, shown by programs of its name on the PATH, and what its failures become."""

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from lab.compose import Compose, Flavour, ensure_flavour, find_flavour, forget_flavour
from lab.errors import EngineError, LabError
from lab.manifest import Version

V2 = '[ "$1" = compose ] || exit 9\necho 2.26.1'
V1 = "echo 1.29.2"
NO_V2 = "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"


def program(folder: Path, name: str, script: str = "") -> None:
    """A program that notes each call in `calls`, one line each, and then does what the script says."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/calls\n{script}\n')
    path.chmod(0o755)


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def path_of(folder: Path) -> Mapping[str, str]:
    return {"PATH": f"{folder}/bin:/usr/bin:/bin"}


def alone(folder: Path) -> Mapping[str, str]:
    """A machine with only the programs that the test put there."""
    (folder / "bin").mkdir(exist_ok=True)
    if not (folder / "bin/sh").exists():
        (folder / "bin/sh").symlink_to("/bin/sh")
    return {"PATH": f"{folder}/bin"}


def compose(folder: Path, flavour: Flavour = Flavour.V2, **environ: str) -> Compose:
    return Compose(
        flavour=flavour,
        project="lab-other",
        manifest=Path("/lab/lab.yaml"),
        folder=folder / "compose",
        environ={**path_of(folder), **environ},
    )


def test_compose_v2_comes_before_v1(tmp_path: Path) -> None:
    program(tmp_path, "docker", V2)
    program(tmp_path, "docker-compose", V1)

    assert find_flavour(alone(tmp_path)) is Flavour.V2
    assert calls(tmp_path) == ["docker compose version --short"]


def test_a_docker_without_the_plugin_leaves_v1(tmp_path: Path) -> None:
    program(tmp_path, "docker", NO_V2)
    program(tmp_path, "docker-compose", V1)

    assert find_flavour(alone(tmp_path)) is Flavour.V1
    assert calls(tmp_path) == ["docker compose version --short", "docker-compose version --short"]


def test_v1_alone_is_enough(tmp_path: Path) -> None:
    program(tmp_path, "docker-compose", V1)

    assert find_flavour(alone(tmp_path)) is Flavour.V1


@pytest.mark.parametrize("unfit", [None, 0o644])
def test_without_a_compose_that_runs_the_fix_is_to_install_one(tmp_path: Path, unfit: int | None) -> None:
    if unfit:
        program(tmp_path, "docker", V2)
        (tmp_path / "bin/docker").chmod(unfit)

    with pytest.raises(LabError) as caught:
        find_flavour(alone(tmp_path))

    assert (caught.value.id, caught.value.exit_code) == ("no-compose", 3)
    assert "docker-compose" in caught.value.where
    assert "install" in caught.value.fix


def test_a_project_stays_with_the_compose_it_was_started_with(tmp_path: Path) -> None:
    program(tmp_path, "docker-compose", V1)
    folder = tmp_path / "compose"
    assert ensure_flavour(folder, alone(tmp_path)) is Flavour.V1

    program(tmp_path, "docker", V2)
    assert ensure_flavour(folder, alone(tmp_path)) is Flavour.V1
    (tmp_path / "bin/docker-compose").unlink()
    with pytest.raises(LabError, match="started with `docker-compose`, which does not answer now"):
        ensure_flavour(folder, alone(tmp_path))
    forget_flavour(folder)
    assert ensure_flavour(folder, alone(tmp_path)) is Flavour.V2


def test_a_compose_of_the_same_name_and_another_kind_is_another_compose(tmp_path: Path) -> None:
    program(tmp_path, "docker-compose", "echo v2.31.0")
    assert find_flavour(alone(tmp_path)) is Flavour.V2_ALONE
    folder = tmp_path / "compose"
    ensure_flavour(folder, alone(tmp_path))

    program(tmp_path, "docker-compose", V1)

    with pytest.raises(LabError, match="started with `docker-compose 2`, which does not answer now"):
        ensure_flavour(folder, alone(tmp_path))


def test_a_person_s_own_words_are_passed_on_with_the_files_and_the_exit_code(tmp_path: Path) -> None:
    program(tmp_path, "docker", "exit 14")

    assert compose(tmp_path).pass_on(["ps", "-q", "app"], Path("/o/v2.yaml")) == 14
    assert calls(tmp_path) == ["docker compose -p lab-other -f /lab/lab.yaml -f /o/v2.yaml ps -q app"]


@pytest.mark.parametrize(("words", "held"), [(["up", "-d"], "held"), (["logs", "-f"], "free")])
def test_the_lock_is_held_by_words_that_change_something_alone(tmp_path: Path, words: list[str], held: str) -> None:
    lock = tmp_path / "compose/lock"
    program(tmp_path, "docker", f"flock -n {lock} echo free >> {tmp_path}/calls || echo held >> {tmp_path}/calls")
    (tmp_path / "compose").mkdir()

    compose(tmp_path).pass_on(words, None)

    assert calls(tmp_path)[-1] == held


def test_a_garbled_record_of_the_compose_is_as_none(tmp_path: Path) -> None:
    program(tmp_path, "docker-compose", V1)
    (tmp_path / "flavour").write_text("podm")

    assert ensure_flavour(tmp_path, alone(tmp_path)) is Flavour.V1


@pytest.mark.parametrize(("flavour", "name"), [(Flavour.V2, "docker compose"), (Flavour.V1, "docker-compose")])
def test_both_are_called_with_the_same_words(tmp_path: Path, flavour: Flavour, name: str) -> None:
    program(tmp_path, "docker")
    program(tmp_path, "docker-compose")
    seam = compose(tmp_path, flavour)

    seam.start_static()
    seam.make_template("app", existing=3, override=Path("/o/v2.yaml"))
    seam.down()

    start, nothing = f"{name} -p lab-other -f /lab/lab.yaml", tmp_path / "compose/nothing.yaml"
    assert calls(tmp_path) == [
        f"{start} -f {nothing} up -d db proxy",
        f"{start} -f /o/v2.yaml up --no-start --no-recreate --scale app=4 app",
        f"{start} -f {nothing} down --volumes --remove-orphans -t 2",
    ]
    assert yaml.safe_load(nothing.read_text()) == {"services": {"proxy": {}}}


def test_values_reach_compose_by_its_environment_and_not_by_its_words(tmp_path: Path) -> None:
    program(tmp_path, "docker", 'echo "env $LAB_DB_PASSWORD" >> ' + f"{tmp_path}/calls")
    compose(tmp_path, LAB_DB_PASSWORD="hidden").start_static()

    assert calls(tmp_path)[-1] == "env hidden"
    assert "hidden" not in calls(tmp_path)[0]


def test_the_override_turns_the_manifest_into_a_version(tmp_path: Path) -> None:
    version = Version(name="v2-slow", serves_as="v2", image=None, environment={"APP_CODE": "v2", "LAB_VERSION": "no"})
    path = compose(tmp_path).write_override("app", version, replicas=5)

    assert path.name == "v2-slow.yaml"
    assert yaml.safe_load(path.read_text()) == {
        "services": {"app": {"environment": {"APP_CODE": "v2", "LAB_VERSION": "v2-slow"}, "deploy": {"replicas": 5}}}
    }


def test_a_version_s_own_image_is_in_its_override(tmp_path: Path) -> None:
    version = Version(name="v1", serves_as="v1", image="shop:1", environment={})
    path = compose(tmp_path).write_override("app", version, replicas=1)

    assert yaml.safe_load(path.read_text())["services"]["app"]["image"] == "shop:1"


def test_the_override_of_a_version_can_be_given_another_size(tmp_path: Path) -> None:
    version = Version(name="shop-2", serves_as="shop-2", image="shop:2", environment={"A": "1"})
    seam = compose(tmp_path)
    path = seam.write_override("app", version, replicas=2)
    wanted = yaml.safe_load(seam.write_override("app", version, replicas=5).read_text())

    seam.write_override("app", version, replicas=2)
    assert yaml.safe_load(seam.resize(path, "app", replicas=5).read_text()) == wanted


TAKEN = [
    "driver failed: Bind for 127.0.0.1:8080 failed: port is already allocated",
    "listen tcp4 127.0.0.1:8080: bind: address already in use",
]


@pytest.mark.parametrize("words", TAKEN)
def test_a_port_that_is_taken_is_told_with_the_way_out(tmp_path: Path, words: str) -> None:
    program(tmp_path, "docker", f"echo '{words}' >&2; exit 1")

    with pytest.raises(EngineError) as caught:
        compose(tmp_path).start_static()

    assert caught.value.id == "port-taken"
    assert words in caught.value.what
    assert "lab up --port" in caught.value.fix


@pytest.mark.parametrize("stream", [">&2", ""])
def test_any_other_failure_is_told_in_compose_s_own_last_words(tmp_path: Path, stream: str) -> None:
    program(tmp_path, "docker", f"for n in $(seq 1 20); do echo line-$n- {stream}; done; exit 17")

    with pytest.raises(EngineError) as caught:
        compose(tmp_path).down()

    assert (caught.value.id, caught.value.where, caught.value.exit_code) == ("compose", "/lab/lab.yaml", 3)
    assert caught.value.what.startswith("docker compose down --volumes --remove-orphans -t 2 failed: line-9-\n")
    assert caught.value.what.endswith("line-20-")


def test_a_compose_that_is_gone_is_the_environment_s_fault(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    gone = Compose(
        flavour=Flavour.V1, project="p", manifest=Path("m"), folder=tmp_path, environ={"PATH": f"{tmp_path}/bin"}
    )

    with pytest.raises(EngineError, match="No such file"):
        gone.down()


def test_a_compose_that_does_not_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.compose.CALL_SECONDS", 0.2)
    program(tmp_path, "docker", "exec sleep 60")
    began = time.monotonic()

    with pytest.raises(EngineError, match=r"no end after 0\.2 s"):
        compose(tmp_path).down()

    assert time.monotonic() - began < 20


def test_one_lock_is_held_around_every_call(tmp_path: Path) -> None:
    program(
        tmp_path,
        "docker",
        f"flock -n {tmp_path}/compose/lock echo free >> {tmp_path}/calls || echo held >> {tmp_path}/calls",
    )
    seam = compose(tmp_path)

    seam.start_static()
    seam.make_template("app", existing=0, override=Path("o"))
    seam.down()

    assert [line for line in calls(tmp_path) if line in {"held", "free"}] == ["held"] * 3
    assert is_free(tmp_path / "compose/lock")


def test_the_lock_is_given_back_when_the_call_fails(tmp_path: Path) -> None:
    program(tmp_path, "docker", "exit 1")

    with pytest.raises(EngineError):
        compose(tmp_path).down()

    assert is_free(tmp_path / "compose/lock")


def is_free(lock: Path) -> bool:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_the_lock_is_one_for_all_that_work_on_a_project(tmp_path: Path) -> None:
    """Two processes at once: the second call begins when the first has ended."""
    program(tmp_path, "docker", f"echo begin >> {tmp_path}/calls; sleep 0.1; echo end >> {tmp_path}/calls")
    child = os.fork()
    if child == 0:
        compose(tmp_path).start_static()
        os._exit(0)
    compose(tmp_path).start_static()
    os.waitpid(child, 0)

    marks = [line for line in calls(tmp_path) if line in {"begin", "end"}]
    assert marks == ["begin", "end", "begin", "end"]
