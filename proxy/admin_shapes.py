"""PURE. What the admin API takes and gives as JSON (docs/reference/schemas/admin-api.schema.json)."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from proxy.errors import BadRequestError
from proxy.lease import Lease
from proxy.readiness import Readiness
from proxy.routing import Entry, Route

Body = Mapping[str, Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_OWNER = {"host": str, "boot": str, "pid": int, "start": str, "command": str, "home": str}


def name(value: object, what: str) -> str:
    """Return a replica's or run's name: it stands in file names and header fields."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadRequestError(f"{what} is {value!r}, not a name (letters, digits, . _ -)")
    return value


def number(body: Body, key: str, *, least: int = 0) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise BadRequestError(f"{key} is {value!r}, not an integer of at least {least}")
    return value


def optional_number(body: Body, key: str) -> int | None:
    return number(body, key) if body.get(key) is not None else None


def flag(body: Body, key: str, *, otherwise: bool | None = None) -> bool:
    value = body.get(key, otherwise)
    if not isinstance(value, bool):
        raise BadRequestError(f"{key} is {value!r}, neither true nor false")
    return value


def text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise BadRequestError(f"{key} is {value!r}, not a string")
    return value


def owner(body: Body) -> dict[str, Any]:
    value = body.get("owner")
    if not isinstance(value, dict):
        raise BadRequestError(f"owner is {value!r}, not an object")
    wrong = [key for key, kind in _OWNER.items() if not isinstance(value.get(key), kind)]
    if wrong:
        raise BadRequestError(f"owner lacks {', '.join(wrong)}, or has them of the wrong type")
    return value


def route(replica: str, body: Body, *, now_ns: int) -> Route:
    address = text(body, "address")
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found[2]) < 65536:  # noqa: PLR2004
        raise BadRequestError(f"address is {address!r}, not ip:port")
    return Route(
        replica=name(replica, "the replica"),
        slot=number(body, "slot"),
        generation=number(body, "generation"),
        version=text(body, "version"),
        address=address,
        readiness=_readiness(body.get("readiness")),
        slow_start_ms=optional_number(body, "slow_start_ms") or 0,
        joined_ns=now_ns,
    )


def deadlines_ms(body: Body) -> tuple[int, int, int]:
    """Return the drain deadlines of what is short, of streams and of WebSockets; the last two are the first's again."""
    short = number(body, "deadline_ms")
    stream, websocket = (optional_number(body, f"{kind}_deadline_ms") for kind in ("stream", "websocket"))
    return short, short if stream is None else stream, short if websocket is None else websocket


def _readiness(body: object) -> Readiness:
    if not isinstance(body, dict):
        raise BadRequestError(f"readiness is {body!r}, not an object")
    path = text(body, "path")
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise BadRequestError(f"readiness.path is {path!r}, not a path")
    return Readiness(
        path=path,
        passes=number(body, "passes", least=1),
        min_ready_ms=number(body, "min_ready_ms"),
        interval_ms=number(body, "interval_ms", least=10),
        fast_interval_ms=number(body, "fast_interval_ms", least=10),
        timeout_ms=number(body, "timeout_ms", least=1),
        fails=number(body, "fails", least=1),
        identity=flag(body, "identity"),
    )


def lease_view(lease: Lease | None, now_ns: int) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {"owner": dict(lease.owner), "fence": lease.fence, "expires_in_ms": lease.expires_in_ms(now_ns)}


def replica_view(entry: Entry, *, idle: int) -> dict[str, Any]:
    route, standing = entry.route, entry.standing
    return {
        "replica": route.replica,
        "slot": route.slot,
        "generation": route.generation,
        "version": route.version,
        "address": route.address,
        "place": route.place.value,
        "health": standing.health.value,
        "proven": standing.proven,
        "passes": standing.passes,
        "ejected_by": standing.ejected_by,
        "ejected_ns": standing.ejected_ns,
        "falls": standing.falls,
        "relapses": standing.relapses,
        "in_flight": entry.in_flight,
        "streams": entry.streams,
        "websockets": entry.websockets,
        "idle": idle,
        "claimed": entry.claimed,
        "aborted": entry.aborted,
        "cut": entry.cut,
        "requests": entry.requests,
        "errors": entry.errors,
        "last_probe": None if entry.last_probe is None else asdict(entry.last_probe),
        "joined_ns": route.joined_ns,
        "retired_ns": route.retired_ns,
        "deadline_ns": None if route.deadlines is None else route.deadlines.short,
    }
