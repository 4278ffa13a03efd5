"""Compose v2 on a machine that has only 1.29: from the package of the Debian release that the lab's images stand on.

It is fetched and unpacked inside a container of that release, once, into a folder for the PATH. Where it
cannot be had the tests that need it fail: half of what the lab promises would else be untested without a word.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from lab.images import ensure_base
from lab.images.bases import Kind
from lab.images.debian import apt_proxy
from lab.images.host import this_host
from lab.images.lock import lock_folder, locked

SECONDS = 180
_FETCH = """
set -e
cd /tmp
apt-get --quiet --quiet update >&2
apt-get --quiet --quiet download docker-compose >&2
dpkg-deb --fsys-tarfile docker-compose_*.deb | tar --extract --to-stdout ./usr/libexec/docker/cli-plugins/docker-compose
"""


def environ_with(flavour: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which `docker compose`, or `docker-compose` alone, is Compose `v2` or `v1`."""
    if flavour == "v1":
        _assert_v1()
        return dict(environ)
    return {**environ, "PATH": os.pathsep.join((str(ensure_folder()), environ["PATH"]))}


def ensure_folder() -> Path:
    """The folder whose `docker` knows `compose`; all else it passes to the machine's own."""
    folder = lock_folder() / "compose-v2"
    docker = folder / "docker"
    with locked("compose-v2", lambda _: None):
        if not docker.exists():
            folder.mkdir(exist_ok=True)
            program = folder / "compose"
            program.write_bytes(_fetched())
            program.chmod(0o755)
            own = shutil.which("docker")
            assert own, "there is no docker program on this machine"
            fresh = folder / "docker.new"
            fresh.write_text(
                f'#!/bin/sh\nif [ "$1" = compose ]; then shift; exec {program} "$@"; fi\nexec {own} "$@"\n'
            )
            fresh.chmod(0o755)
            fresh.rename(docker)
    return folder


def _fetched() -> bytes:
    network = this_host()
    words = ["docker", "run", "--rm"]
    words += [word for name, value in network.arguments.items() for word in ("--env", f"{name}={value}")]
    words += ["--network", network.mode] if network.mode else []
    if proxy := apt_proxy():
        words += ["--env", f"http_proxy={proxy}"]
    words += [ensure_base(Kind.PYTHON), "sh", "-c", _FETCH]
    done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, f"Compose v2 cannot be had: {done.stderr.decode(errors='replace')[-2000:]}"
    assert done.stdout.startswith(b"\x7fELF"), "the package holds no program of that name"
    return done.stdout


def _assert_v1() -> None:
    done = subprocess.run(["docker-compose", "version", "--short"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("1."), f"Compose 1.29 is not on this machine: {done.stdout or done.stderr}"
