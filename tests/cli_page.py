"""docs/reference/cli.md: every command, its arguments and its options, as the command itself has them."""

import re
from typing import Any

from typer._click import Context
from typer.main import get_command

from lab.cli._commands import app
from lab.cli._manner import SPEECH

INTRO = "<!-- made from the code: make docs -->"


def cli_page() -> str:
    group: Any = get_command(app)
    pages = [page for name, command in sorted(group.commands.items()) for page in _pages(f"lab {name}", command)]
    first: Any = group.commands["status"]
    shared = [_row(record) for section, record in _records(first, "lab status") if section == SPEECH]
    return "\n".join(
        [
            "# Commands",
            "",
            INTRO,
            "",
            "Results go to stdout, progress and errors to stderr; [exit codes](exit-codes.md), [errors](errors.md).",
            'Names, versions and runs are completed by the shell: `eval "$(lab completion bash)"`.',
            "",
            "Every command has these:",
            "",
            "| option | |",
            "|---|---|",
            *shared,
            "| `--help`, `-h` | Show its arguments and options, and exit. |",
            "",
            *pages,
        ]
    )


def _pages(name: str, command: Any) -> list[str]:
    if hasattr(command, "commands"):
        return [page for own, inner in sorted(command.commands.items()) for page in _pages(f"{name} {own}", inner)]
    usage = " ".join(command.collect_usage_pieces(_context(command, name)))
    lines = [f"## {name}", "", _text(command.help or ""), "", f"    {name} {usage}", ""]
    sections: dict[str, list[str]] = {}
    for section, record in _records(command, name):
        if section != SPEECH:
            sections.setdefault(section, []).append(_row(record))
    for section in sorted(sections, key=lambda title: title == "Options"):
        lines += [f"| {section} | |", "|---|---|", *sections[section], ""]
    return lines


def _records(command: Any, name: str) -> list[tuple[str, tuple[str, str]]]:
    """(its section, (how it is written, what it does)) of each parameter that is shown."""
    context, found = _context(command, name), []
    for param in command.get_params(context):
        record = param.get_help_record(context)
        usual = "Arguments" if param.param_type_name == "argument" else "Options"
        if record is not None and param.name != "help":
            section = SPEECH if param.name == "quiet" else getattr(param, "rich_help_panel", None) or usual
            found.append((section, record))
    return found


def _context(command: Any, name: str) -> Context:
    return Context(command, info_name=name)


def _row(record: tuple[str, str]) -> str:
    how, what = (_text(part) for part in record)
    return f"| `{how.replace('|', chr(92) + '|')}` | {what.replace('|', chr(92) + '|')} |"


def _text(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
