"""PURE: what stands around the rolled service in its manifest: what Compose starts, and which of it is the lab's own.

The shipped manifest names the lab's images by their variables. One that does not is somebody's own: the lab adds its
proxy to it, and has no database and no ledger of the app there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lab.sections import BadKeyError, mapping

PROXY = "proxy"


class Brought(StrEnum):
    """A part of the lab that the manifest itself has; the value is the variable that names its image."""

    PROXY = "LAB_PROXY_IMAGE"
    DATABASE = "LAB_POSTGRES_IMAGE"
    APP = "LAB_APP_IMAGE"


class Until(StrEnum):
    """What a replica's start waits for; Compose's words."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    DONE = "service_completed_successfully"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """`statics`: what Compose starts beside the fleet. `networks`: those of the rolled service, as it lists them."""

    statics: tuple[str, ...]
    brought: frozenset[Brought]
    waits: Mapping[str, Until] = field(default_factory=dict)
    networks: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Somebody's own: it does not bring the lab's proxy."""
        return Brought.PROXY not in self.brought

    @property
    def has_database(self) -> bool:
        return Brought.DATABASE in self.brought

    @property
    def has_ledger(self) -> bool:
        """Whether the app writes down what it begins and answers: only the sample app does."""
        return Brought.APP in self.brought


def surroundings_of(rolled: str, services: Mapping[str, Any]) -> Surroundings:
    """BadKeyError for what the lab cannot stand beside."""
    keys = {name: _mapping(name, service) for name, service in services.items()}
    statics = tuple(name for name, service in keys.items() if name != rolled and not service.get("profiles"))
    brought = frozenset(part for part in Brought if any(part in str(one.get("image")) for one in keys.values()))
    if Brought.PROXY not in brought:
        if PROXY in services:
            raise BadKeyError(f"services.{PROXY}", "the lab's own proxy has that name", fix="call yours otherwise")
        statics = (*statics, PROXY)
    return Surroundings(
        statics=statics,
        brought=brought,
        waits=dict(_waits(keys[rolled].get("depends_on"))),
        networks=tuple(str(name) for name in keys[rolled].get("networks") or ()),
    )


def _mapping(name: str, service: object) -> Mapping[str, Any]:
    try:
        return mapping(service or {})
    except TypeError as error:
        raise BadKeyError(f"services.{name}", str(error)) from error


def _waits(depends: object) -> Iterator[tuple[str, Until]]:
    if isinstance(depends, dict):
        for name, how in depends.items():
            said = how.get("condition") if isinstance(how, dict) else None
            yield str(name), Until(said) if said in set(Until) else Until.STARTED
    elif isinstance(depends, list):
        yield from ((str(name), Until.STARTED) for name in depends)
