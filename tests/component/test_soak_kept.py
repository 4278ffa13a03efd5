"""What a soak has passed counts as long as the code that it tries is the same: not for longer, and not for less."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.soak.kept import TRIED, Kept


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    for folder in (*TRIED, "tests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "code.py").write_text("1\n")
    commit(tmp_path)
    return tmp_path


def test_what_passed_counts_after_a_change_of_tests_and_not_after_one_of_the_code_that_is_tried(checkout: Path) -> None:
    Kept("demo", checkout).add(seed=1, name="a")
    change(checkout / "tests")
    assert [row["name"] for row in Kept("demo", checkout).rows(seed=1)] == ["a"]
    for folder in TRIED:
        change(checkout / folder)
        assert Kept("demo", checkout).rows() == []
        Kept("demo", checkout).add(seed=1, name=folder)


def test_only_the_rows_that_were_asked_for_are_told(checkout: Path) -> None:
    kept = Kept("demo", checkout)
    kept.add(part="clean", number=1)
    kept.add(part="faults", number=2)
    with (checkout / ".lab" / "soak-demo.jsonl").open("a") as file:
        file.write(json.dumps({"commit": "kept by an older soak", "part": "clean"}) + "\n")
    assert [row["number"] for row in kept.rows(part="clean")] == [1]
    assert len(kept.rows()) == 2


def change(folder: Path) -> None:
    with (folder / "code.py").open("a") as file:
        file.write("2\n")
    commit(folder.parent)


def commit(root: Path) -> None:
    git(root, "add", "--all", "--", *TRIED, "tests")
    git(root, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message", "x")


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
