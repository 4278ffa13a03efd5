"""Root file systems from Debian's packages, where no registry can be reached."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.images.context import digest
from lab.images.store import Progress, Store
from lab.ownership import IMAGE_PREFIX

RELEASE = "trixie"  # Python 3.13 and PostgreSQL 17, the major versions of the registry's images
DEADLINE_SECONDS = 900.0
_LOG_LINES = 12
_NOT_NEEDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What a root file system is made of; its tag says all of it."""

    name: str
    packages: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    before_packages: str = ""  # a shell script, run on the host with the new root as $1
    changes: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        parts = (RELEASE, *self.packages, *self.left_out, self.before_packages, *self.changes)
        return f"{IMAGE_PREFIX}{self.name}:{digest(*parts)}"


def available() -> str:
    """Return why no root file system can be made here; empty if it can."""
    return "" if shutil.which("mmdebstrap") else "mmdebstrap is not installed (Debian and Ubuntu have it)"


def arguments(root: Root, *, mirror: str = "", proxy: str = "") -> list[str]:
    """Return the mmdebstrap command line; without a mirror it takes the distribution's own."""
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(root.packages)}"]
    command += [f"--dpkgopt=path-exclude={path}" for path in (*_NOT_NEEDED, *root.left_out)]
    if proxy:
        command.append(f'--aptopt=Acquire::http::Proxy "{proxy}"')
    if root.before_packages:
        command.append(f"--essential-hook={root.before_packages}")
    return [*command, RELEASE, "-", *([mirror] if mirror else [])]


def make(root: Root, store: Store, progress: Progress, *, mirror: str = "") -> None:
    """Make the root file system and import it under its reference."""
    progress(f"{root.name}: from the packages of Debian {RELEASE}, about half a minute")
    command = arguments(root, mirror=mirror, proxy=apt_proxy())
    with tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as archive:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=archive,
                stderr=log,
                check=False,
                timeout=DEADLINE_SECONDS,
            )
            failure = f"mmdebstrap ended with {done.returncode}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            failure = f"mmdebstrap was not done after {DEADLINE_SECONDS:.0f} s"
        if failure:
            log.seek(0)
            raise _error(root, failure, log.read().decode(errors="replace"))
        archive.seek(0)
        store.tag(store.import_root(archive, list(root.changes)), root.reference)


def apt_proxy() -> str:
    """The host's own apt may go through a proxy that is named nowhere else."""
    if not Path("/usr/bin/apt-config").exists():
        return ""
    done = subprocess.run(
        ["/usr/bin/apt-config", "--format", "%v%n", "dump", "Acquire::http::Proxy"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return done.stdout.strip()


def _error(root: Root, failure: str, log: str) -> LabError:
    return LabError(
        id="image-bootstrap",
        what=f"{root.name}: {failure}",
        where="\n".join(log.strip().splitlines()[-_LOG_LINES:]),
        fix="check that this machine reaches its Debian mirror (LAB_DEBIAN_MIRROR names another), "
        "or bring the images: lab images load FILE",
    )
