"""Runs a page of docs/tutorial/ as a reader would, command by command, and holds the outputs against the page's own.

A block ```sh is run line by line, and the ```text block behind it is what they print together. A comment `# exit 3`
says how a line ends. Numbers and times are whatever they are; a line `...` stands for any lines, or none, and `…` for
the rest of one.
LAB_UPDATE_GOLDEN=1 writes the outputs anew: read the diff, and put the `...` back.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"```sh\n(?P<commands>.*?)```\n\n```text\n(?P<output>.*?)```", re.DOTALL)
_EXIT = re.compile(r"\s+# exit (\d+)$")
_NUMBER = re.compile(r"(?<![\w.])\d[\d .]*\d|(?<![\w.])\d")
_RUN_NAME = re.compile(r"\b\d{8}-\d{6}[\w-]*")
_SPACES = re.compile(r" {2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Some commands, and what the page says they print."""

    commands: tuple[str, ...]
    output: str


def steps_of(page: str) -> list[Step]:
    return [
        Step(commands=tuple(found["commands"].splitlines()), output=found["output"]) for found in _BLOCK.finditer(page)
    ]


def run(step: Step, *, at: Path, environ: Mapping[str, str]) -> str:
    """What the commands print, stdout and stderr as they come. AssertionError for another exit code than the page's."""
    said = ""
    for line in step.commands:
        code = _EXIT.search(line)
        command = _EXIT.sub("", line)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=at,
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == (int(code[1]) if code else 0), f"{command}: exit {done.returncode}\n{done.stdout}"
        said += done.stdout
    return said


def fits(said: str, page: str) -> bool:
    """Whether an output is the page's, whatever its numbers."""
    lines = [_pattern(line) for line in _plain(page).splitlines()]
    return re.fullmatch("".join(lines), _plain(said)) is not None


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.split("…"))) + r"\n"


def _plain(text: str) -> str:
    """Without what differs from one run to the next: names of runs, numbers, the width of columns."""
    named = _RUN_NAME.sub("RUN", text)
    return "".join(f"{_SPACES.sub('  ', _NUMBER.sub('N', line)).rstrip()}\n" for line in named.splitlines())


def written_anew(page: str, outputs: list[str]) -> str:
    given = iter(outputs)
    return _BLOCK.sub(lambda found: f"```sh\n{found['commands']}```\n\n```text\n{next(given)}```", page)


def updating() -> bool:
    return os.environ.get("LAB_UPDATE_GOLDEN") == "1"
