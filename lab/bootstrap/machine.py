"""What the set-up has to know of the machine it runs on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts that decide what may be installed, and how."""

    debian: bool
    root: bool
    may_install: bool
    systemd: bool
    macos: bool = False

    @property
    def can_install(self) -> bool:
        return self.debian and self.root and self.may_install


def look(environ: Mapping[str, str]) -> Machine:
    return Machine(
        debian=is_debian(_text(Path("/etc/os-release"))) and shutil.which("apt-get") is not None,
        root=os.geteuid() == 0,
        may_install=environ.get("LAB_NO_INSTALL", "") in {"", "0"},
        systemd=Path("/run/systemd/system").is_dir(),
        macos=sys.platform == "darwin",
    )


def is_debian(os_release: str) -> bool:
    """Whether the text of /etc/os-release names Debian, Ubuntu or one of their children."""
    names: set[str] = set()
    for line in os_release.splitlines():
        key, _, value = line.partition("=")
        if key in {"ID", "ID_LIKE"}:
            names |= set(value.strip("\"'").split())
    return bool(names & {"debian", "ubuntu"})


def run(command: list[str], *, seconds: float, **environment: str) -> tuple[int, str]:
    """Run to the end or the deadline; return the exit code (124: the deadline) and what it printed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            text=True,
            errors="replace",
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        # bytes even in text mode, whatever the type says
        return 124, bytes(error.stdout or b"").decode(errors="replace")
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout


def tail(output: str, lines: int = 8) -> str:
    return "\n".join([line for line in output.splitlines() if line.strip()][-lines:])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
