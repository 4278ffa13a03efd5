"""The documents say what is: commands, exit codes, links, and the verdict block that the README shows."""

import re
import subprocess
from pathlib import Path

import pytest

from lab.cli._commands import app
from lab.errors import Exit

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
)


def commands() -> list[str]:
    own = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    return own + [str(group.name) for group in app.registered_groups]


@pytest.mark.parametrize("command", commands())
def test_the_readme_names_every_command(command: str) -> None:
    assert f"`lab {command}" in README


@pytest.mark.parametrize("code", list(Exit))
def test_the_page_of_exit_codes_has_every_one(code: Exit) -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text()

    assert re.search(rf"^\| .*\b{code.value}\b", page, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_between_the_documents_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {word for page in PAGES for word in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)}

    assert named
    assert named <= targets
