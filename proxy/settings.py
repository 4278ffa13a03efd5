"""What the proxy may be told by its environment, each value with its reason; read once, at the start."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from proxy.errors import RefusedStartError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bytes, counts and seconds; 0 turns a limit off where its reason says so. Each can be set as LAB_<NAME>."""

    # As long as app servers commonly take; also what aiohttp's parser allows a single field.
    request_line: int = 8190
    header_bytes: int = 32768
    header_count: int = 100
    # Off: how large an upload may be is the app's to say. The proxy never holds a body as a whole.
    body_bytes: int = 0
    # From the first byte of a request to the end of its head: a client that trickles it holds nothing but a socket.
    header_seconds: float = 10.0
    # Longer than the think time of any client in the lab, so that the proxy is not the one that closes in a race.
    idle_seconds: float = 75.0
    # Without a byte of a request's body, or with a client that takes nothing of its answer.
    client_seconds: float = 60.0
    # A SYN to an address that nobody has any more is answered by nobody.
    connect_seconds: float = 3.0
    first_byte_seconds: float = 60.0
    # Between two pieces of an answer. Event streams and WebSockets may be silent for as long as they like.
    idle_answer_seconds: float = 60.0
    # Off: a long answer that makes progress is no fault.
    total_seconds: float = 0.0
    connections: int = 10_000
    attempts: int = 3
    # Who may say on whose behalf it asks (networks, separated by commas): nobody, unless told.
    trusted_peers: tuple[str, ...] = ()
    pseudonym: str = "rolling-lab"
    # While no replica is ready, requests wait: so many, holding so much memory, so long. 0 seconds: they do not wait.
    hold_count: int = 1000
    hold_bytes: int = 16 * MIB
    hold_seconds: float = 10.0
    # A stream that is cut may finish the event or frame it is in.
    cut_grace_seconds: float = 1.0
    # So many connection errors in a row take a replica out, for so long, and longer each time.
    eject_errors: int = 3
    eject_seconds: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    token: str
    state_dir: Path
    runs_dir: Path
    data_port: int = 8080
    admin_port: int = 9000
    host: str = "0.0.0.0"
    seed: int | None = None
    limits: Limits = field(default_factory=Limits)


def from_environment(environ: Mapping[str, str]) -> Settings:
    token = environ.get("LAB_ADMIN_TOKEN", "")
    if not token:
        raise RefusedStartError("LAB_ADMIN_TOKEN is not set: the admin API would be open to anyone")
    return Settings(
        token=token,
        state_dir=Path(environ.get("LAB_STATE_DIR", "/state")),
        runs_dir=Path(environ.get("LAB_RUNS_DIR", "/runs")),
        data_port=_port(environ, "LAB_DATA_PORT", 8080),
        admin_port=_port(environ, "LAB_ADMIN_PORT", 9000),
        host=environ.get("LAB_HOST", "0.0.0.0"),
        seed=int(environ["LAB_SEED"]) if environ.get("LAB_SEED", "").isdigit() else None,
        limits=_limits(environ),
    )


def origins(limits: Limits) -> dict[str, dict[str, object]]:
    """Return each limit with where it comes from, for `GET /status`."""
    usual = Limits()
    return {
        each.name: {
            "value": (value := getattr(limits, each.name)),
            "origin": "default" if value == getattr(usual, each.name) else _variable(each.name),
        }
        for each in fields(Limits)
    }


def _limits(environ: Mapping[str, str]) -> Limits:
    given = {each.name: environ[_variable(each.name)] for each in fields(Limits) if _variable(each.name) in environ}
    usual = Limits()
    return replace(usual, **{name: _value(name, text, getattr(usual, name)) for name, text in given.items()})


def _variable(name: str) -> str:
    return f"LAB_{name.upper()}"


def _value(name: str, text: str, usual: object) -> Any:
    try:
        if isinstance(usual, tuple):
            return tuple(str(ipaddress.ip_network(each.strip())) for each in text.split(",") if each.strip())
        if isinstance(usual, str):
            return _token(text)
        return _amount(int(text) if isinstance(usual, int) else float(text))
    except ValueError as error:
        kind = "a list of networks" if isinstance(usual, tuple) else f"of the form of {usual!r}"
        raise RefusedStartError(f"{_variable(name)} is {text!r}, not {kind}: {error}") from error


def _token(text: str) -> str:
    if not (text.isascii() and text.replace("-", "").replace(".", "").isalnum()):
        raise ValueError("letters, digits, . and - only")
    return text


def _amount(number: float) -> float:
    if not 0 <= number < float("inf"):
        raise ValueError("at least 0, and finite")
    return number


def _port(environ: Mapping[str, str], name: str, otherwise: int) -> int:
    value = environ.get(name, str(otherwise))
    if not value.isdigit() or int(value) > 65535:  # noqa: PLR2004
        raise RefusedStartError(f"{name} is {value!r}, not a port number")
    return int(value)
