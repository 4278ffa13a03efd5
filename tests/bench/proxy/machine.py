"""What the bench needs of the machine: two processors, and nginx, HAProxy and wrk from the distribution."""

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lab.bootstrap.machine import look, run
from lab.bootstrap.packages import Apt, command_line
from lab.errors import LabError
from tests.bench.proxy.interpreter import about, interpreter

PACKAGES = (("nginx", "nginx-light"), ("haproxy", "haproxy"), ("wrk", "wrk"))
_SYSTEM = ("/usr/sbin", "/sbin", "/usr/local/sbin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Where each program is; empty: it is not there."""

    nginx: str
    haproxy: str
    wrk: str
    python: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpus:
    proxy: int
    rest: int


def tools(say: Callable[[str], None]) -> Tools:
    """Find the programs; install what is missing where that is allowed."""
    missing = tuple(package for program, package in PACKAGES if not _which(program))
    machine = look(os.environ)
    if missing and machine.can_install:
        try:
            Apt(say=say).install(missing)
        except LabError as error:
            say(str(error))
        if machine.systemd:
            # Debian starts a server when it installs it; the bench wants the programs only
            services = [name for name in ("nginx", "haproxy") if _which(name) and name in " ".join(missing)]
            run(["systemctl", "disable", "--now", *services], seconds=60)
    still = [package for program, package in PACKAGES if not _which(program)]
    if still:
        say(f"missing: {', '.join(still)}. On Debian and Ubuntu: {command_line(still)}")
    return Tools(**{program: _which(program) for program, _ in PACKAGES}, python=interpreter(say))


def cpus() -> Cpus | None:
    """The proxy gets a processor to itself; the load and the upstream share another."""
    if sys.platform != "linux":
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return Cpus(proxy=allowed[0], rest=allowed[1]) if len(allowed) > 1 else None


def allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))


def description(found: Tools) -> str:
    """One line for the page: what ran on what."""
    parts = [
        f"nginx {_version(found.nginx, '-v')}",
        f"HAProxy {_version(found.haproxy, '-v')}",
        f"wrk {_version(found.wrk, '-v')}",
        about(found.python),
        *(f"{name} {_package(name)}" for name in ("aiohttp", "httptools", "uvloop")),
        f"Linux {platform.release().split('-')[0]}",
        _processor(),
    ]
    return ", ".join(parts)


def _which(program: str) -> str:
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM])) or ""


def _version(program: str, flag: str) -> str:
    if not program:
        return "missing"
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+\.\d+(\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else "unknown"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _processor() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{os.cpu_count()} x {names[0].strip() if names else platform.machine()}"
