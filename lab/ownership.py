"""PURE: who owns a lab, and whether that process is surely gone: one rule for the lease, the fixtures and clean-up."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from lab.ports import Owner

LABEL = "rollinglab.owner"
VARIABLE = "LAB_OWNER"
"""Names the process that a lab belongs to, for all commands that work on it; without it a lab outlives them."""
COMPOSE_PROJECT = "com.docker.compose.project"
PREFIX = "lab-"
IMAGE_PREFIX = "rollinglab-"
"""Begins the name of every image of ours."""
_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine that asks. `start_of` says when a process began, None for one that does not live."""

    host: str
    boot: str
    start_of: Callable[[int], str | None]


def is_gone(owner: Owner, machine: Machine) -> bool:
    """Whether that process is surely gone. One on another host is never surely gone."""
    if owner.host != machine.host:
        return False
    return owner.boot != machine.boot or (machine.start_of(owner.pid) or "") != owner.start


def owner_to_text(owner: Owner) -> str:
    """As a label holds it."""
    return "/".join((owner.host, owner.boot, str(owner.pid), owner.start.replace("/", "-")))


def owner_of_text(text: str) -> Owner | None:
    """None for what no lab can have written: it is left alone."""
    parts = text.split("/")
    if len(parts) != _PARTS or not all(parts) or not parts[2].isdigit():
        return None
    return Owner(host=parts[0], boot=parts[1], pid=int(parts[2]), start=parts[3], command="", home="")


def orphaned(labels: Iterable[Mapping[str, str]], machine: Machine) -> list[str]:
    """The Compose projects of the lab's whose owner is surely gone, of everything that bears these labels.

    One that has something of an owner who lives is left alone whole: its name was taken again.
    """
    dead: set[str] = set()
    kept: set[str] = set()
    for one in labels:
        project, owner = one.get(COMPOSE_PROJECT, ""), owner_of_text(one.get(LABEL, ""))
        if not project.startswith(PREFIX) or owner is None:
            continue
        (dead if is_gone(owner, machine) else kept).add(project)
    return sorted(dead - kept)
