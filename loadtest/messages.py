"""What goes over the wire, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.outcomes import Flaw, Framing


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """When the first byte came, on which connection, and as which request of that connection."""

    first_byte: int | None = None
    connection: int | None = None
    turn: int | None = None


NOTHING = Trace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole HTTP message; whether its body is whole is the envelope's to say when it ended with the connection."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    framing: Framing = Framing.LENGTH
    trace: Trace = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """No whole message. A status and headers are there if the header came."""

    flaw: Flaw
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    trace: Trace = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`fresh`: on a connection of its own, closed behind it."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fresh: bool = False
