"""PURE. Header fields as both sides of the proxy see them (RFC 9110 §5, §7.6)."""

from collections.abc import Iterable
from enum import Enum, auto

Field = tuple[bytes, bytes]

REQUEST_ID = b"X-Lab-Request-Id"

# The two that frame the message are hop-by-hop by nature: each side writes its own.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
# Never to be taken away by a `Connection: content-length`: the body would have no end, the request no id.
NOT_NOMINABLE = frozenset({b"content-length", b"via", b"host", b"authorization", b"x-lab-request-id"})


class Framing(Enum):
    """How the end of a body is known."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


def first(fields: Iterable[Field], name: bytes) -> bytes | None:
    return next((value for key, value in fields if key.lower() == name), None)


def every(fields: Iterable[Field], name: bytes) -> list[bytes]:
    return [value for key, value in fields if key.lower() == name]


def tokens_of(value: bytes) -> set[bytes]:
    return {token.strip().lower() for token in value.split(b",")}


def as_named(key: bytes) -> bytes:
    """Return a lower-case name as frameworks read it: X_Forwarded_For is X-Forwarded-For to them."""
    return key.replace(b"_", b"-") if b"_" in key else key
