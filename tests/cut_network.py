"""Breaks one replica's network from outside the lab: its connections are reset, or its cable is pulled.

Linux with its own Docker engine, as root: it enters the replica's network namespace (`nsenter`, `ss`, `iptables`).
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

TOOLS = ("nsenter", "ss", "iptables")
PORT = "8080"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """When a replica was off, on the clock that its log has too, in ns.

    Nothing that it answered after `off_by` and nothing that was asked of it before `on` came through. It was still on
    at `off_after`; in between nobody knows.
    """

    replica: str
    off_after: int
    off_by: int
    on: int


class Wire:
    """What connects one container with the others. A container that has gone in the meantime is left in peace."""

    def __init__(self, container: str) -> None:
        self._container = container
        found = json.loads(_run("docker", "inspect", container) or "[]")
        self._pid = found[0]["State"]["Pid"] if found else 0
        self._network = next(iter(found[0]["NetworkSettings"]["Networks"]), "") if found else ""

    @property
    def there(self) -> bool:
        return self._pid > 0

    def reset(self, *, deaf: float) -> tuple[int, int]:
        """After so many seconds in which it hears nothing, every connection to the app is reset on both sides.

        Returns the time before and after, in ns. What the app answers meanwhile still comes through.
        """
        rule = ("INPUT", "-p", "tcp", "--dport", PORT, "-j", "DROP")
        if deaf:
            self._inside("iptables", "-I", *rule)
            time.sleep(deaf)
        began = time.monotonic_ns()
        self._kill_sockets()
        ended = time.monotonic_ns()
        if deaf:
            self._inside("iptables", "-D", *rule)
        return began, ended

    def unplug(self, seconds: float) -> tuple[int, int, int]:
        """Take it off its network for so long. Its connections are gone when it returns, and nobody was told so.

        Returns the times before and after it was off, and before it was on again, in ns.
        """
        off_after = time.monotonic_ns()
        _run("docker", "network", "disconnect", self._network, self._container)
        off_by = time.monotonic_ns()
        time.sleep(seconds)
        self._kill_sockets()
        on = time.monotonic_ns()
        _run("docker", "network", "connect", self._network, self._container)
        return off_after, off_by, on

    def _kill_sockets(self) -> None:
        self._inside("ss", "-K", "-t", "-n", "state", "connected", f"( sport = :{PORT} )")

    def _inside(self, *words: str) -> None:
        _run("nsenter", "-t", str(self._pid), "-n", *words)


def missing_tools() -> Sequence[str]:
    """What is needed to break a network from outside, and is not here."""
    return [tool for tool in TOOLS if shutil.which(tool) is None] + ["root"] * (os.geteuid() != 0)


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout
