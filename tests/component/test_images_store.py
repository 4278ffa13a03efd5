import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.images import archive, ensure_all, ensure_postgres_base
from lab.images.context import pack
from lab.images.lock import locked
from lab.images.store import Store

pytestmark = pytest.mark.docker


@pytest.fixture
def store():
    with Store.open() as opened:
        yield opened


@pytest.fixture
def small(store):
    """A tag on an image of one tiny file."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as root:
        root.addfile(tarfile.TarInfo("hello"))
    buffer.seek(0)
    reference = "rollinglab-test-small:1"
    store.tag(store.import_root(buffer, ["ENV A=1"]), reference)
    yield reference
    store.remove(reference)


def test_a_second_ensure_makes_nothing(store):
    first = ensure_all()
    ids = [store.image_id(name) for name in (first.python, first.postgres, first.proxy, first.app, first.load)]
    lines: list[str] = []

    second = ensure_all(lines.append)

    assert second == first
    assert [
        store.image_id(name) for name in (second.python, second.postgres, second.proxy, second.app, second.load)
    ] == ids
    assert lines == []
    assert ensure_postgres_base() == first.postgres


@pytest.mark.parametrize("name", ["images.tar", "images.tar.gz"])
def test_a_saved_image_comes_back_under_its_name_with_the_same_fingerprint(store, small, tmp_path, name):
    file = tmp_path / name
    before = store.fingerprint(small)

    archive.write(store, (small,), file)
    store.remove(small)
    assert not store.has(small)
    archive.read(store, file)

    assert store.fingerprint(small) == before
    assert (file.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_saving_into_a_folder_that_is_not_there_says_so(store, small):
    with pytest.raises(LabError) as caught:
        archive.write(store, (small,), Path("/nonexistent/images.tar"))

    assert caught.value.id == "images-save"
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("content", [None, b"not an archive"])
def test_loading_what_is_no_archive_says_so(store, tmp_path, content):
    file = tmp_path / "images.tar"
    if content:
        file.write_bytes(content)

    with pytest.raises(LabError) as caught:
        archive.read(store, file)

    assert caught.value.id in {"images-load", "image-load"}
    assert caught.value.fix


def test_a_build_that_fails_shows_the_end_of_its_log(store):
    base = ensure_all().python
    dockerfile = b"ARG BASE\nFROM ${BASE}\nRUN echo the reason; exit 3\n"

    with pytest.raises(LabError) as caught:
        store.build(pack({"Dockerfile": dockerfile}), "rollinglab-test-broken:1", {"BASE": base}, None)

    assert caught.value.id == "image-build"
    assert "the reason" in caught.value.where
    assert not store.has("rollinglab-test-broken:1")


def test_an_image_that_nobody_has_is_not_pulled_for_ever(store):
    assert not store.registry_answers("registry.invalid/rolling-lab:1")
    assert store.pull("registry.invalid/rolling-lab:1", print) != ""


def test_two_processes_do_not_make_the_same_image_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lines: list[str] = []

    with (
        locked("app-1", print),
        locked("app-2", print),
        pytest.raises(LabError) as caught,
        locked("app-1", lines.append, seconds=0.3),
    ):
        pass

    assert caught.value.id == "image-lock"
    assert "another process makes it" in lines[0]
