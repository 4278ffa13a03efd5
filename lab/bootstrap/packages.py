"""Debian's and Ubuntu's packages: which are needed is decided here, apt-get does the rest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lab.bootstrap.machine import run, tail
from lab.errors import LabError

INSTALL_SECONDS = 900.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What the machine has of what containers need."""

    engine: bool
    compose: bool
    base_images: bool
    mmdebstrap: bool
    keyring: bool


def needed(present: Present) -> bool:
    """Whether the lab cannot start before something is installed."""
    return not (present.engine and present.compose)


def choose(present: Present, offered: Iterable[str]) -> tuple[str, ...]:
    """Return the packages to install, of those that this release offers."""
    names = set(offered)
    chosen: list[str] = []
    if not present.engine:
        chosen.append("docker.io")
    if not present.compose:
        # Ubuntu calls Compose 2 docker-compose-v2; where its plugin needs the client, that may be apart too
        chosen.append("docker-compose-v2" if "docker-compose-v2" in names else "docker-compose")
        chosen += ["docker-cli"] if "docker-cli" in names else []
    if not present.base_images:
        chosen += [] if present.mmdebstrap else ["mmdebstrap"]
        chosen += [] if present.keyring else ["debian-archive-keyring"]
    return tuple(chosen)


CANDIDATES = ("docker-compose-v2", "docker-compose", "docker-cli")


def command_line(packages: Iterable[str]) -> str:
    """Return what a person types to get the packages."""
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"


def offered(policy: str) -> set[str]:
    """Parse `apt-cache policy`: the packages that could be installed."""
    found: set[str] = set()
    name = ""
    for line in policy.splitlines():
        if line and not line[0].isspace():
            name = line.rstrip(":")
        elif line.strip().startswith("Candidate:") and "(none)" not in line:
            found.add(name)
    return found


@dataclass(slots=True, kw_only=True)
class Apt:
    """apt-get, with its lists fetched once."""

    say: Say
    _updated: bool = field(default=False, init=False)

    def offers(self, names: Iterable[str]) -> set[str]:
        self._update()
        return offered(run(["apt-cache", "policy", *names], seconds=60)[1])

    def install(self, packages: tuple[str, ...]) -> None:
        self._update()
        self.say(f"installing {' '.join(packages)}")
        code, output = run(
            ["apt-get", *_OPTIONS, "install", "--yes", "--no-install-recommends", *packages],
            seconds=INSTALL_SECONDS,
            DEBIAN_FRONTEND="noninteractive",
        )
        if code:
            raise LabError(
                id="apt-install",
                what=f"apt-get could not install {' '.join(packages)} (exit {code})",
                where=tail(output),
                fix=f"mend what apt-get names, or install them by hand: {command_line(packages)}",
            )

    def _update(self) -> None:
        if self._updated:
            return
        self.say("fetching the package lists")
        # a failure is left to the install: one broken list of many may not matter
        run(["apt-get", *_OPTIONS, "update"], seconds=INSTALL_SECONDS)
        self._updated = True


_OPTIONS = ("--quiet", "--option", "DPkg::Lock::Timeout=120")
