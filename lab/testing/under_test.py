"""A lab of a test's own, driven through the command as a person drives it."""

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.project import checkout
from lab.testing.roll import Roll, RollRefusedError, nothing_to_roll, roll_of

SECONDS = 240
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Done:
    """How one command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a lab is started with, and what each roll of it offers: the marker's words."""

    replicas: int | None = None
    version: str | None = None
    schema: str | None = None
    rate: float | None = None
    slow: str | None = None
    min_requests: int | None = None
    file: str | None = None
    service: str | None = None
    readiness: str | None = None
    app_port: int | None = None
    paths: str | None = None

    def start(self) -> list[str]:
        """As flags of `lab up`."""
        names = ("replicas", "version", "schema", "file", "service", "readiness", "app_port", "paths")
        return flags({name: getattr(self, name) for name in names})

    def load(self) -> dict[str, Any]:
        """As options of a roll."""
        return {"rate": self.rate, "slow": self.slow, "min_requests": self.min_requests}


@dataclass(kw_only=True)
class LabUnderTest:
    """One lab. `owner` is the process whose end is the end of it, as `LAB_OWNER` says it."""

    project: str
    owner: str
    wanted: Wanted = field(default_factory=Wanted)
    rolls: list[Roll] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Its folder, with its runs."""
        return checkout() / ".lab" / self.project

    def __call__(self, *words: str) -> Done:
        """Run `lab WORDS` on it to its end."""
        done = subprocess.run(
            self._argv(words), env=self._environ(), capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Begin `lab WORDS`; it ends with this process at the latest."""
        return subprocess.Popen(
            self._argv(words), env=self._environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def up(self, *words: str) -> Done:
        """Start it, or repair it. RollRefusedError with what the command said if it does not come up."""
        return self._right("up", *words)

    def down(self) -> Done:
        return self._right("down")

    def status(self) -> Any:
        return self._right("status", "--json").json

    @property
    def url(self) -> str:
        """Where the app is to be reached: the proxy."""
        return str(self.status()["url"])

    def roll(self, version: str | None = None, *, image: str | None = None, **options: Any) -> Roll:
        """`lab roll`, and its verdict. Options as the command has them: `order="stop-first"`, `no_load=True`.

        RollRefusedError if nothing was rolled: the words cannot be meant, or the lab cannot do it.
        """
        words = [version] if version else []
        return self._judged("roll", *words, *flags({"image": image, **self._load(options)}))

    def rollback(self, **options: Any) -> Roll:
        return self._judged("rollback", *flags(self._load(options)))

    def destroy(self, *, keep_runs: bool) -> None:
        """Take it down, whatever runs, and leave nothing but its runs where they are kept."""
        done = self("down")
        if done.exit_code:
            raise RollRefusedError("down", done.err)
        if not keep_runs:
            shutil.rmtree(self.home, ignore_errors=True)

    def keep_artifacts(self, folder: Path) -> list[Path]:
        """Copy every run's verdict, report, ledgers and logs. Return the folders."""
        kept = []
        for run in sorted(self.home.glob("runs/*")):
            shutil.copytree(run, folder / run.name, dirs_exist_ok=True)
            kept.append(folder / run.name)
        return kept

    def _load(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {**self.wanted.load(), **options}

    def _judged(self, *words: str) -> Roll:
        done = self(*words, "--json")
        told = done.json if done.out.strip() else {}
        if told.get("schema") == "lab.roll/1":
            raise nothing_to_roll(str(told.get("version")))
        if told.get("schema") != "lab.verdict/1":
            raise RollRefusedError(" ".join(words), done.err)
        roll = roll_of(told, exit_code=done.exit_code, project=self.project, home=self.home)
        self.rolls.append(roll)
        return roll

    def _right(self, *words: str) -> Done:
        done = self(*words)
        if done.exit_code:
            raise RollRefusedError(" ".join(words), done.err)
        return done

    def _argv(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "lab.tied", *words, "--project", self.project]

    def _environ(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(checkout()), os.environ.get("PYTHONPATH"))))
        return {**os.environ, "PYTHONPATH": path, "LAB_OWNER": self.owner}


def project_name(stem: str, worker: str) -> str:
    return f"{stem}{_ODD.sub('', worker.removeprefix('gw'))}-{secrets.token_hex(4)}"


def folder_name(node: str) -> str:
    """A test's name as a folder's."""
    return _ODD.sub("-", node).strip("-")[-120:]


def flags(options: Mapping[str, Any]) -> list[str]:
    """`order="stop-first"` as `--order stop-first`; True as the flag alone; a list as the flag again and again."""
    words = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, list | tuple) else [value]:
            if one is True:
                words.append(flag)
            elif one is not None and one is not False:
                words += [flag, str(one)]
    return words
