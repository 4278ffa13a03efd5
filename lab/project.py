"""One lab among others: its name, its folder, its secrets and its port."""

import json
import os
import re
import secrets
import socket
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError, UsageError

DEFAULT = "default"
DEFAULT_PORT = 8080
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything that tells this lab from another. `home` is the checkout it belongs to."""

    name: str
    home: Path
    folder: Path

    @property
    def compose_name(self) -> str:
        """The prefix of every container, network and volume."""
        return f"lab-{self.name}"

    @property
    def manifest(self) -> Path:
        """The shipped one; lab.chosen knows whether the project runs another."""
        return self.home / "compose" / "lab.yaml"

    @property
    def added(self) -> Path:
        """What a manifest of somebody's own needs beside it."""
        return self.home / "compose" / "proxy.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Random per project, kept 0600, passed by environment, in no log."""

    db_password: str
    admin_token: str


def project_at(home: Path, name: str) -> Project:
    if not _NAME.fullmatch(name):
        raise UsageError(
            id="project-name",
            what=f"{name!r} cannot be the name of a project",
            fix="use up to 31 of a-z, 0-9 and '-', beginning with a letter or digit",
        )
    return Project(name=name, home=home, folder=home / ".lab" / name)


def checkout() -> Path:
    """The checkout that this code runs from."""
    return Path(__file__).resolve().parent.parent


def ensure_secrets(project: Project) -> Secrets:
    path = project.folder / "secrets.json"
    _make_folder(project)
    if not path.exists():
        _write(path, {"db_password": secrets.token_hex(16), "admin_token": secrets.token_hex(24)})
    kept = _read(path)
    if not all(isinstance(kept.get(key), str) and kept[key] for key in ("db_password", "admin_token")):
        raise _unreadable(path, "it holds no secrets")
    return Secrets(db_password=kept["db_password"], admin_token=kept["admin_token"])


def ensure_port(project: Project, wanted: int | None = None) -> int:
    """The port of the data plane: 8080 for the default project, else a free one, kept from then on."""
    path = project.folder / "port.json"
    _make_folder(project)
    if wanted is None and path.exists():
        kept = _read(path).get("port")
        if not isinstance(kept, int):
            raise _unreadable(path, "it holds no port")
        return kept
    port = wanted or (DEFAULT_PORT if project.name == DEFAULT else _free_port())
    _write(path, {"port": port})
    return port


def recorded_port(project: Project) -> int | None:
    """The port that is kept for it, if it ever had one; none is chosen."""
    path = project.folder / "port.json"
    kept = _read(path).get("port") if path.exists() else None
    return kept if isinstance(kept, int) else None


def is_free(port: int) -> bool:
    """Whether a program could listen on that port of 127.0.0.1 now."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make_folder(project: Project) -> None:
    try:
        project.folder.mkdir(parents=True, exist_ok=True)
        project.folder.chmod(0o700)
    except OSError as error:
        raise LabError(
            id="folder",
            what=f"the folder of the lab cannot be used: {error.strerror}",
            where=str(project.folder),
            fix="make it yours; was a command run as root before?",
        ) from error


def _write(path: Path, data: dict[str, object]) -> None:
    temporary = path.with_suffix(".tmp")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        json.dump(data, file)
    temporary.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    return data if isinstance(data, dict) else {}


def _unreadable(path: Path, why: str) -> LabError:
    return LabError(
        id="state-unreadable",
        what=f"a file of the lab cannot be read: {why}",
        where=str(path),
        fix="remove the file, then lab down and lab up",
    )
