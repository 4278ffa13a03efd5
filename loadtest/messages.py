"""What goes over the wire, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.outcomes import Flaw


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole HTTP message; whether its body is whole is the envelope's to say when it ended with the connection."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_byte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    flaw: Flaw
    first_byte: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
