import io
import re
import tarfile
from pathlib import Path

import pytest

from lab.images import bases, debian
from lab.images.bases import Kind
from lab.images.context import digest, pack, package_files
from lab.images.host import describe, pip_settings
from lab.images.parts import Part, Source, clone, source

LOCKS = ["lab", "tests", "proxy", "sample_app", "loadtest"]


def test_a_context_is_the_same_bytes_whatever_the_order_and_the_time():
    assert pack({"b": b"2", "a.sh": b"1"}) == pack({"a.sh": b"1", "b": b"2"})


def test_a_script_is_executable_in_the_context_and_nothing_else_is():
    with tarfile.open(fileobj=io.BytesIO(pack({"a.sh": b"", "b.py": b""}))) as archive:
        assert {entry.name: entry.mode for entry in archive} == {"a.sh": 0o755, "b.py": 0o644}


def test_the_border_between_two_parts_counts_in_a_digest():
    assert digest("ab", "c") != digest("a", "bc")


def test_what_python_and_editors_leave_behind_is_not_part_of_an_image(tmp_path):
    for name in ("a.py", "a.py~", ".a.swp", "__pycache__/a.pyc", "sub/b.sql", ".git/c"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)

    assert set(package_files(tmp_path, "p/")) == {"p/a.py", "p/sub/b.sql"}


def test_an_image_has_another_tag_when_its_code_its_locks_or_its_base_change():
    first = Source(part=Part.APP, files={"Dockerfile": b"1", "requirements.txt": b"1", "sample_app/a.py": b"1"})
    references = {
        Source(part=Part.APP, files=files).reference(base)
        for base in ("base-1", "base-2")
        for files in (first.files, {**first.files, "sample_app/a.py": b"2"}, {**first.files, "Dockerfile": b"2"})
    }

    assert len(references) == 6
    assert first.reference("base-1") in references
    assert re.fullmatch(r"rollinglab-app:[0-9a-f]{12}", first.reference("base-1"))


@pytest.mark.parametrize("part", Part)
def test_an_image_holds_its_own_package_and_its_own_lock_only(part):
    files = source(part).files

    assert {"Dockerfile", "requirements.txt"} <= set(files)
    assert len({name.split("/")[0] for name in files if "/" in name}) == 1


def test_a_change_of_the_schemas_plan_or_sql_is_no_reason_to_build_anything():
    files = source(Part.APP).files

    assert not [name for name in files if name.endswith((".sql", "plan.toml", "compat.toml"))]
    assert "sample_app/scenarios/rename-column/new.toml" in files, "that is code: what it says is served"


def test_the_network_of_the_machine_is_no_part_of_a_tag():
    files = source(Part.PROXY)
    behind_proxy = describe({"HTTPS_PROXY": "http://proxy.example:3128"}, {})

    assert b"authorities.pem" in files.context(behind_proxy)
    assert "authorities.pem" not in files.files


@pytest.mark.parametrize("folder", LOCKS)
def test_every_locked_package_has_a_hash_and_no_lock_names_an_address(folder):
    text = (clone() / folder / "requirements.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())

    assert entries
    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--(extra-)?index|--find-links|\bfile:|^-", text, re.MULTILINE)


def test_our_own_base_image_is_preferred_so_that_loaded_images_are_used_as_they_are():
    python = bases.base(Kind.PYTHON)

    assert bases.wanted(python, {}) == (python.own, "python:3.13-slim")


@pytest.mark.parametrize(
    ("asked", "reference"),
    [
        ("registry.example:5000/python", "registry.example:5000/python:latest"),
        ("python:3.12", "python:3.12"),
        ("python@sha256:12", "python@sha256:12"),
    ],
)
def test_an_image_asked_for_by_name_is_the_only_one_that_will_do(asked, reference):
    assert bases.wanted(bases.base(Kind.PYTHON), {"LAB_PYTHON_IMAGE": asked}) == (reference,)


def test_the_two_base_images_are_made_without_a_mirrors_name_unless_one_is_given():
    root = bases.base(Kind.POSTGRES).root

    command = debian.arguments(root)
    assert command[-2:] == ["trixie", "-"]
    assert "--include=postgresql-17" in command
    assert not any("://" in word for word in command)
    assert debian.arguments(root, mirror="http://mirror.example/debian")[-1] == "http://mirror.example/debian"
    assert 'Acquire::http::Proxy "http://p:1"' in " ".join(debian.arguments(root, proxy="http://p:1"))


def test_a_build_gets_the_proxy_the_index_and_the_authorities_of_its_host(tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"CERTIFICATES")

    network = describe(
        {"HTTPS_PROXY": "http://proxy.example:3128", "SSL_CERT_FILE": str(bundle), "PIP_RETRIES": "2"},
        {"index-url": "https://index.example/simple", "trusted-host": "index.example"},
    )

    assert network.authorities == b"CERTIFICATES"
    assert network.mode is None
    assert network.arguments == {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_TRUSTED_HOST": "index.example",
        "PIP_RETRIES": "2",
    }


def test_paths_of_the_host_stay_out_of_a_build():
    network = describe(
        {"PIP_FIND_LINKS": "/opt/wheels", "PIP_EXTRA_INDEX_URL": "file:///opt/index https://index.example/simple"},
        {"cert": "/no/such/file"},
    )

    assert network.arguments == {"PIP_EXTRA_INDEX_URL": "https://index.example/simple"}
    assert network.authorities == b""


@pytest.mark.parametrize("url", ["http://127.0.0.1:3128", "http://localhost:3128", "http://[::1]:3128"])
def test_a_proxy_on_the_hosts_loopback_is_reached_through_the_hosts_network(url):
    assert describe({"http_proxy": url}, {}).mode == "host"


def test_pips_settings_for_install_win_over_its_global_ones():
    listing = ":env:.cert='/env'\ninstall.timeout='9'\nglobal.timeout='5'\nglobal.index-url='https://i.example'\n"

    assert pip_settings(listing) == {"timeout": "9", "index-url": "https://i.example"}


def test_no_file_of_the_images_names_a_registry_or_a_mirror():
    folder = Path(bases.__file__).parent
    texts = [file.read_text() for file in folder.rglob("*") if file.suffix in {".py", ".sh", ""} and file.is_file()]

    assert not [text for text in texts if re.search(r"(debian\.org|pypi\.org|docker\.(io|com)/)", text)]
