"""A browser without a window, for the tests of pages. They are skipped where there is none: nothing else needs it."""

import shutil

from lab.bootstrap.machine import Machine
from lab.bootstrap.packages import Apt, command_line
from lab.errors import LabError

COMMANDS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium-headless-shell", "chromium")
"""The first is a third of the second, and not every release has it."""
SKIPPED = "the tests of pages are skipped"


def ensure(machine: Machine, apt: Apt) -> tuple[bool, str]:
    """Have a Chromium if this machine's distribution has one; return whether it was installed, and a line to show."""
    path = find()
    if path:
        return False, path
    if not machine.can_install:
        by_hand = f"; {command_line([PACKAGES[0]])}" if machine.debian else ""
        return False, f"none, {SKIPPED}{by_hand}"
    try:
        package = choose(apt.offers(PACKAGES))
        if package is None:
            return False, f"none in this release, {SKIPPED}"
        apt.install((package,))
    except LabError as error:
        return False, f"none, {SKIPPED}: {error.what}"
    return True, find() or f"none after {package} was installed, {SKIPPED}"


def find() -> str | None:
    return next((path for name in COMMANDS if (path := shutil.which(name))), None)


def choose(offered: set[str]) -> str | None:
    return next((package for package in PACKAGES if package in offered), None)
