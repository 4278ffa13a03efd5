"""The clone's own virtual environment, with exactly the locked packages in it."""

import hashlib
import importlib.util
import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.bootstrap.machine import Machine, run, tail
from lab.bootstrap.packages import Apt, command_line
from lab.errors import LabError

PIP_SECONDS = 900.0
_STAMP = ".venv/rolling-lab.json"
_LOCKS = {"lab": "lab/requirements.txt", "dev": "tests/requirements.txt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a virtual environment was made from. The development set holds all of the plain one."""

    clone: str
    python: str
    profile: str
    digest: str

    def serves(self, wanted: "Stamp") -> bool:
        same = (self.clone, self.python, self.digest) == (wanted.clone, wanted.python, wanted.digest)
        return same and self.profile in {wanted.profile, "dev"}

    def reusable(self, wanted: "Stamp") -> bool:
        """Whether pip may go on in it: scripts in a moved environment call the old place's Python."""
        return (self.clone, self.python) == (wanted.clone, wanted.python)


def ensure(clone: Path, profile: str, machine: Machine, apt: Apt) -> bool:
    """Make the environment what the locks say; return whether there was anything to do."""
    wanted = Stamp(clone=str(clone), python=_version(), profile=profile, digest=lock_digest(clone))
    have = _read(clone / _STAMP)
    python = clone / ".venv/bin/python"
    if have and have.serves(wanted) and python.exists() and (clone / ".venv/bin/lab").exists():
        return False
    if not python.exists() or (have and not have.reusable(wanted)):
        _make_venv(clone / ".venv", machine, apt)
    (clone / _STAMP).unlink(missing_ok=True)
    _pip(python, "--require-hashes", "--only-binary", ":all:", "--requirement", str(clone / _LOCKS[profile]))
    _pip(python, "--no-deps", "--no-build-isolation", "--editable", str(clone))
    (clone / _STAMP).write_text(json.dumps(asdict(wanted)), encoding="utf-8")
    return True


def lock_digest(clone: Path) -> str:
    """Return a digest of the locks and of what an editable install takes from pyproject.toml."""
    project = tomllib.loads((clone / "pyproject.toml").read_text(encoding="utf-8"))
    kept = [project.get("project"), project.get("build-system"), project.get("tool", {}).get("hatch")]
    total = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    for lock in _LOCKS.values():
        total.update((clone / lock).read_bytes())
    return total.hexdigest()


def _make_venv(folder: Path, machine: Machine, apt: Apt) -> None:
    if importlib.util.find_spec("ensurepip") is None:
        _install_venv_module(machine, apt)
    shutil.rmtree(folder, ignore_errors=True)
    code, output = run([sys.executable, "-m", "venv", str(folder)], seconds=120)
    if code:
        raise LabError(
            id="venv",
            what=f"making a virtual environment failed (exit {code})",
            where=tail(output),
            fix=f"{command_line(['python3-venv'])}" if machine.debian else f"{sys.executable} -m ensurepip",
        )


def _install_venv_module(machine: Machine, apt: Apt) -> None:
    if machine.can_install:
        own = f"python3.{sys.version_info.minor}-venv"
        apt.install((own if own in apt.offers([own]) else "python3-venv",))
        return
    raise LabError(
        id="venv-missing",
        what=f"{sys.executable} comes without venv and pip"
        + ("" if machine.may_install else "; LAB_NO_INSTALL forbids to install python3-venv"),
        fix=command_line(["python3-venv"]) if machine.debian else "install your distribution's python3 venv",
    )


def _pip(python: Path, *arguments: str) -> None:
    common = ("--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    code, output = run(
        [str(python), "-m", "pip", "install", *common, *arguments],
        seconds=PIP_SECONDS,
        PIP_USER="0",
        PIP_REQUIRE_HASHES="0",
    )
    if code:
        raise LabError(
            id="pip",
            what=f"pip could not install the locked packages (exit {code})",
            where=tail(output),
            fix="behind a proxy or an index of your own set HTTPS_PROXY, PIP_INDEX_URL or PIP_CERT, then again",
        )


def _read(file: Path) -> Stamp | None:
    read: Callable[..., Stamp] = Stamp
    try:
        return read(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
