"""PURE. Which header fields go on to the other side, and the heads as they are sent (RFC 9110 §7.6, RFC 9112)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

Field = tuple[bytes, bytes]

REQUEST_ID = b"X-Lab-Request-Id"
VIA = b"1.1 rolling-lab"

# The two that frame the message are hop-by-hop by nature: each side writes its own.
_HOP_BY_HOP = frozenset(
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
# Never to be taken away by a `Connection: content-length`: the body would have no end. What is ours is added after.
_NOT_NOMINABLE = frozenset({b"content-length", b"via"})
# Said by the proxy alone: what a client says about itself is not believed.
_OURS = frozenset(
    {
        b"host",
        b"expect",
        b"forwarded",
        b"x-real-ip",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-lab-request-id",
        b"x-lab-attempt",
        b"x-lab-proxy",
    }
)
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(:[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class Framing(Enum):
    """How the end of a body is known."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """A request as it goes on: checked, with what the proxy decided about it."""

    method: bytes
    target: bytes
    host: bytes
    fields: tuple[Field, ...]
    framing: Framing
    length: bytes
    request_id: bytes
    expects_continue: bool
    keep_alive: bool
    http10: bool
    remote: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    status: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    status: int
    reason: bytes
    fields: tuple[Field, ...]
    framing: Framing
    reusable: bool


def first(fields: Iterable[Field], name: bytes) -> bytes | None:
    return next((value for key, value in fields if key.lower() == name), None)


def every(fields: Iterable[Field], name: bytes) -> list[bytes]:
    return [value for key, value in fields if key.lower() == name]


def tokens(fields: Iterable[Field], name: bytes) -> set[bytes]:
    return {token.strip().lower() for value in every(fields, name) for token in value.split(b",")}


def request_id_of(fields: Iterable[Field], otherwise: str) -> bytes:
    given = every(fields, REQUEST_ID.lower())
    return given[0] if len(given) == 1 and _ID.fullmatch(given[0]) else otherwise.encode()


def read_request(
    *,
    method: bytes,
    target: bytes,
    fields: tuple[Field, ...],
    request_id: bytes,
    keep_alive: bool,
    http10: bool,
    remote: bytes,
) -> Inbound | Refusal:
    """Check what the server's parser lets through and an intermediary may not."""
    refusal = _unsupported(method, fields) or _misframed(fields, http10=http10)
    if refusal is not None:
        return refusal
    hosts = every(fields, b"host")
    absolute = _ABSOLUTE.fullmatch(target)
    host = absolute[1] if absolute else (hosts[0] if hosts else b"")
    if absolute:
        target = _origin_form(method, absolute[2])
    if len(hosts) != 1 and not (http10 and not hosts):
        return Refusal(status=400, message=f"a request has one Host field, this has {len(hosts)}")
    if not _HOST.fullmatch(host) and not (http10 and not host):
        return Refusal(status=400, message="the Host field is not a host with an optional port")
    chunked = bool(every(fields, b"transfer-encoding"))
    length = first(fields, b"content-length")
    framing = Framing.CHUNKED if chunked else Framing.NONE if length is None else Framing.LENGTH
    return Inbound(
        method=method,
        target=target,
        host=host,
        fields=fields,
        framing=framing,
        length=length or b"",
        request_id=request_id,
        expects_continue=not http10 and bool(every(fields, b"expect")),
        keep_alive=keep_alive,
        http10=http10,
        remote=remote,
    )


def request_head(inbound: Inbound, *, attempt: int, address: str) -> bytes:
    lines = [inbound.method + b" " + inbound.target + b" HTTP/1.1", b"Host: " + (inbound.host or address.encode())]
    lines += _onward(inbound.fields, _OURS | {b"content-length"})
    if inbound.framing is Framing.CHUNKED:
        lines.append(b"Transfer-Encoding: chunked")
    elif inbound.framing is Framing.LENGTH:
        lines.append(b"Content-Length: " + inbound.length)
    lines += [
        b"Via: " + VIA,
        b"X-Forwarded-For: " + inbound.remote,
        b"X-Forwarded-Proto: http",
        REQUEST_ID + b": " + inbound.request_id,
        b"X-Lab-Attempt: %d" % attempt,
    ]
    if inbound.host:
        lines.append(b"X-Forwarded-Host: " + inbound.host)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def response_head(head: ResponseHead, inbound: Inbound, *, keep_alive: bool) -> bytes:
    lines = [b"HTTP/1.1 %d %s" % (head.status, head.reason)]
    lines += _onward(head.fields, frozenset({b"x-lab-proxy"} | ({b"content-length"} if head.status == 204 else set())))  # noqa: PLR2004
    if reframed(head, inbound):
        lines.append(b"Transfer-Encoding: chunked")
    if not keep_alive:
        lines.append(b"Connection: close")
    elif inbound.http10:
        lines.append(b"Connection: keep-alive")
    return b"\r\n".join(lines) + b"\r\n\r\n"


def reframed(head: ResponseHead, inbound: Inbound) -> bool:
    """Whether the answer's body is sent on in chunks of our own."""
    return head.framing in {Framing.CHUNKED, Framing.CLOSE} and not inbound.http10


def ends_by_close(head: ResponseHead, inbound: Inbound) -> bool:
    return head.framing in {Framing.CHUNKED, Framing.CLOSE} and inbound.http10


def _unsupported(method: bytes, fields: tuple[Field, ...]) -> Refusal | None:
    if method == b"CONNECT":
        return Refusal(status=501, message="this proxy opens no tunnels")
    if method == b"TRACE":
        return Refusal(status=405, message="TRACE is not answered")
    if b"upgrade" in tokens(fields, b"connection") and b"websocket" in tokens(fields, b"upgrade"):
        return Refusal(status=501, message="this proxy does not upgrade connections")
    if tokens(fields, b"expect") - {b"100-continue"}:
        return Refusal(status=417, message="the only expectation known is 100-continue")
    return None


def _misframed(fields: tuple[Field, ...], *, http10: bool) -> Refusal | None:
    codings = every(fields, b"transfer-encoding")
    if not codings:
        return None
    if http10 or not codings[0].strip():
        return Refusal(status=400, message="Transfer-Encoding has no place or no value here")
    if [coding.strip().lower() for coding in codings] != [b"chunked"]:
        return Refusal(status=501, message="the only transfer coding known is chunked")
    return None


def _origin_form(method: bytes, rest: bytes) -> bytes:
    if not rest:
        return b"*" if method == b"OPTIONS" else b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


def _onward(fields: tuple[Field, ...], ours: frozenset[bytes]) -> list[bytes]:
    gone = _HOP_BY_HOP | ours | (tokens(fields, b"connection") - _NOT_NOMINABLE)
    # Frameworks read X_Forwarded_For as X-Forwarded-For: the underscore is no way around the proxy.
    return [name + b": " + value for name, value in fields if name.lower().replace(b"_", b"-") not in gone]
