import hashlib
import json
from pathlib import Path

import pytest

from lab.endpoint import Candidate, candidates, resolve
from lab.errors import EngineError


def write_context(config: Path, name: str, host: str, *, tls: bool = False) -> None:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts/meta" / key / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    if tls:
        (config / "contexts/tls" / key / "docker").mkdir(parents=True)


def write_config(config: Path, current: str) -> None:
    config.mkdir(exist_ok=True)
    (config / "config.json").write_text(json.dumps({"currentContext": current}))


def sources(found: tuple[Candidate, ...]) -> list[str]:
    return [candidate.source for candidate in found]


def test_docker_host_comes_before_the_context_and_the_context_before_the_known_sockets(tmp_path):
    write_context(tmp_path / ".docker", "colima", "unix:///colima.sock")
    write_config(tmp_path / ".docker", "colima")

    found = candidates({"DOCKER_HOST": "tcp://127.0.0.1:1"}, tmp_path)

    assert sources(found)[:3] == ["DOCKER_HOST", "docker context colima", "known socket"]
    assert [candidate.url for candidate in found][:2] == ["tcp://127.0.0.1:1", "unix:///colima.sock"]


def test_docker_context_wins_over_the_current_context_and_docker_config_moves_the_folder(tmp_path):
    config = tmp_path / "elsewhere"
    write_context(config, "one", "unix:///one.sock")
    write_context(config, "two", "unix:///two.sock", tls=True)
    write_config(config, "one")

    found = candidates({"DOCKER_CONFIG": str(config), "DOCKER_CONTEXT": "two"}, tmp_path)

    assert found[0].url == "unix:///two.sock"
    assert found[0].tls_dir is not None


def test_the_default_context_adds_nothing_to_the_known_sockets(tmp_path):
    write_config(tmp_path / ".docker", "default")

    assert set(sources(candidates({}, tmp_path))) == {"known socket"}


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"currentContext": 3}', '{"currentContext": "gone"}'])
def test_a_broken_docker_configuration_is_as_good_as_none(tmp_path, text):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(text)

    assert set(sources(candidates({}, tmp_path))) == {"known socket"}


def test_an_address_that_is_named_twice_is_asked_once(tmp_path):
    found = candidates({"DOCKER_HOST": "unix:///var/run/docker.sock"}, tmp_path)

    urls = [candidate.url for candidate in found]
    assert len(urls) == len(set(urls))
    assert found[0].source == "DOCKER_HOST"


def test_the_user_runtime_folder_may_hold_the_socket(tmp_path):
    urls = [candidate.url for candidate in candidates({"XDG_RUNTIME_DIR": "/run/user/7"}, tmp_path)]

    assert urls[-1] == "unix:///run/user/7/docker.sock"


def test_the_first_engine_that_answers_is_taken_and_the_silent_ones_before_it_are_told(tmp_path):
    write_context(tmp_path / ".docker", "colima", "unix:///colima.sock")
    write_config(tmp_path / ".docker", "colima")

    endpoint = resolve(
        {"DOCKER_HOST": "tcp://127.0.0.1:1"},
        tmp_path,
        lambda candidate: "" if "colima" in candidate.url else "refused",
    )

    assert endpoint.url == "unix:///colima.sock"
    assert endpoint.source == "docker context colima"
    assert endpoint.tried == ("tcp://127.0.0.1:1 (DOCKER_HOST): refused",)


def test_no_engine_is_an_error_that_names_all_that_were_tried(tmp_path):
    with pytest.raises(EngineError) as caught:
        resolve({"DOCKER_HOST": "tcp://127.0.0.1:1"}, tmp_path, lambda _: "silent")

    assert caught.value.exit_code == 3
    assert "tcp://127.0.0.1:1 (DOCKER_HOST): silent" in caught.value.where
    assert "/var/run/docker.sock" in caught.value.where


def test_a_socket_that_may_not_be_opened_is_mended_by_the_docker_group(tmp_path):
    with pytest.raises(EngineError) as caught:
        resolve({}, tmp_path, lambda _: "permission denied")

    assert "usermod -aG docker" in caught.value.fix
