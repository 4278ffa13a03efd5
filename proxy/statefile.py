"""The routing state on disk: what a restarted proxy must know, replaced whole or not at all."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from proxy.errors import RefusedStartError
from proxy.readiness import Readiness
from proxy.routing import Deadlines, Route
from proxy.transitions import Place

SCHEMA = "lab.proxy-routes/2"
NAME = "routes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    epoch: int = 0
    seq: int = 0
    fence: int = 0
    owner: Mapping[str, Any] | None = None
    ttl_ms: int = 0
    run: str | None = None
    hold: bool = False
    routes: tuple[Route, ...] = ()


class StateFile:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / NAME

    def load(self) -> Kept:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Kept()
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(str(error)) from error
        try:
            return _parse(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreadable(f"{type(error).__name__}: {error}") from error

    def save(self, kept: Kept) -> None:
        """Return when the state would survive a crash of the machine.

        Blocking on purpose: nothing may happen between a change of the routes and its being on disk.
        """
        body = json.dumps({"schema": SCHEMA, **asdict(kept)}, separators=(",", ":")).encode()
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unreadable(self, why: str) -> RefusedStartError:
        return RefusedStartError(
            f"the routing state {self._path} cannot be read ({why}). Starting with no routes would drop every "
            "request, so the proxy does not start. Restore the file, or remove it to begin with an empty table."
        )


def _parse(found: dict[str, Any]) -> Kept:
    if found["schema"] != SCHEMA:
        raise ValueError(f"schema {found['schema']!r}, not {SCHEMA!r}")
    numbers = {key: _count(found, key) for key in ("epoch", "seq", "fence", "ttl_ms")}
    routes = tuple(_route(dict(each)) for each in found["routes"])
    return Kept(**numbers, owner=found["owner"], run=found["run"], hold=found["hold"] is True, routes=routes)


def _count(found: dict[str, Any], key: str) -> int:
    value = found[key]
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{key} is {value!r}, not a count")
    return value


def _route(found: dict[str, Any]) -> Route:
    readiness = Readiness(**found.pop("readiness"))
    place = Place(found.pop("place"))
    deadlines = found.pop("deadlines")
    return Route(
        **found,
        place=place,
        readiness=readiness,
        deadlines=None if deadlines is None else Deadlines(**deadlines),
    )
