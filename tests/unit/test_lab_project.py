"""What tells one lab from another: its name, its folder, its secrets and its port."""

import json
import socket
import stat
from pathlib import Path

import pytest

from lab.errors import LabError, UsageError
from lab.project import Project, ensure_port, ensure_secrets, project_at


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return project_at(tmp_path, "other")


@pytest.mark.parametrize("name", ["default", "a", "7", "left-2", "x" * 31])
def test_a_name_prefixes_everything_that_the_lab_makes(tmp_path: Path, name: str) -> None:
    project = project_at(tmp_path, name)

    assert project.compose_name == f"lab-{name}"
    assert project.folder == tmp_path / ".lab" / name
    assert project.runs.parent == project.journal.parent == project.folder


@pytest.mark.parametrize("name", ["", "A", "-a", "a_b", "a b", "a/b", "..", "x" * 32, "a\n", "ä"])
def test_a_name_that_is_no_name_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        project_at(tmp_path, name)

    assert (caught.value.id, caught.value.exit_code) == ("project-name", 2)
    assert repr(name) in caught.value.what


def test_secrets_are_random_and_kept_where_only_their_owner_reads_them(project: Project) -> None:
    made = ensure_secrets(project)

    assert ensure_secrets(project) == made
    assert len({made.db_password, made.admin_token}) == 2
    assert min(len(made.db_password), len(made.admin_token)) >= 32
    assert mode(project.folder) == 0o700
    assert mode(project.folder / "secrets.json") == 0o600
    assert [path.name for path in project.folder.iterdir()] == ["secrets.json"]


def test_two_projects_share_no_secret(tmp_path: Path) -> None:
    one, other = (ensure_secrets(project_at(tmp_path, name)) for name in ("a", "b"))

    assert not {one.db_password, one.admin_token} & {other.db_password, other.admin_token}


def test_a_folder_that_others_could_read_is_closed_to_them(project: Project) -> None:
    project.folder.mkdir(parents=True, mode=0o755)
    ensure_secrets(project)

    assert mode(project.folder) == 0o700


def test_a_secret_is_not_in_the_text_of_a_project(project: Project) -> None:
    assert ensure_secrets(project).db_password not in repr(project)


def test_the_default_project_is_at_8080(tmp_path: Path) -> None:
    assert ensure_port(project_at(tmp_path, "default")) == 8080


def test_any_other_project_gets_a_free_port_and_keeps_it(project: Project) -> None:
    port = ensure_port(project)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        assert ensure_port(project) == port


def test_a_port_that_was_asked_for_is_kept_too(project: Project) -> None:
    ensure_port(project)

    assert ensure_port(project, 9123) == 9123
    assert ensure_port(project) == 9123


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"port": "8080"}', "\x00", "8080"])
def test_a_garbled_file_is_refused_with_its_path_and_left_untouched(project: Project, text: str) -> None:
    project.folder.mkdir(parents=True)
    for name, read in (("secrets.json", ensure_secrets), ("port.json", ensure_port)):
        path = project.folder / name
        path.write_text(text)

        with pytest.raises(LabError) as caught:
            read(project)

        assert (caught.value.id, caught.value.where) == ("state-unreadable", str(path))
        assert "remove the file" in caught.value.fix
        assert path.read_text() == text


def test_half_a_secret_is_no_secret(project: Project) -> None:
    project.folder.mkdir(parents=True)
    (project.folder / "secrets.json").write_text(json.dumps({"db_password": "x", "admin_token": ""}))

    with pytest.raises(LabError, match="it holds no secrets"):
        ensure_secrets(project)


def test_a_folder_that_cannot_be_made_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / ".lab").write_text("a file in its way")

    with pytest.raises(LabError) as caught:
        ensure_secrets(project_at(tmp_path, "other"))

    assert (caught.value.id, caught.value.where) == ("folder", str(tmp_path / ".lab/other"))
