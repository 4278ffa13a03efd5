"""Who listens on a port of this machine, in words: a container of the engine, else a process, where it can be seen."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LISTENING = "0A"
SECONDS = 5.0


def port_owner(port: int, containers: Iterable[Mapping[str, Any]], *, proc: Path = Path("/proc")) -> str:
    """`containers`: rows of the engine's plain list."""
    return container_on(port, containers) or _process_on(port, proc) or _by_lsof(port) or "another program"


def container_on(port: int, containers: Iterable[Mapping[str, Any]]) -> str:
    for row in containers:
        if any(published.get("PublicPort") == port for published in row.get("Ports") or ()):
            names = row.get("Names") or [str(row.get("Id", ""))[:12]]
            return f"container {str(names[0]).lstrip('/')}"
    return ""


def _process_on(port: int, proc: Path) -> str:
    """Linux. Other users' processes are seen by root alone."""
    sockets = {f"socket:[{inode}]" for table in ("tcp", "tcp6") for inode in _inodes(proc / "net" / table, port)}
    if not sockets:
        return ""
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if sockets & _open_in(process):
            name = _text(process / "comm").strip()
            return f"{name or 'a process'} (pid {process.name})"
    return ""


def _inodes(table: Path, port: int) -> Iterable[str]:
    for line in _text(table).splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def _open_in(process: Path) -> set[str]:
    try:
        return {str(file.readlink()) for file in (process / "fd").iterdir()}
    except OSError:  # another user's, or it has ended
        return set()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _by_lsof(port: int) -> str:
    """What macOS has."""
    argv = ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    try:
        said = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"^p(\d+)\nc(.+)$", said, re.MULTILINE)
    return f"{found[2]} (pid {found[1]})" if found else ""
