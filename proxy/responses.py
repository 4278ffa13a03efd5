"""PURE. A replica's answer as the client gets it (RFC 9110 §6, §7.6, RFC 9112 §6), and the answers the proxy makes."""

import json
import re
from http import HTTPStatus

from proxy.fields import HOP_BY_HOP, NOT_NOMINABLE, REQUEST_ID, Field, Framing, every, tokens_of

NO_CONTENT = 204
_NOT_MODIFIED = 304
_LEAST_STATUS = 100
_REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_SPECIAL = HOP_BY_HOP | {b"content-length", b"x-lab-proxy", b"content-type"}


_PLAIN_CONNECTION = frozenset({b"keep-alive", b"Keep-Alive"})


class MalformedError(Exception):
    """What came from the replica is no answer that can be passed on."""


class ResponseHead:
    """`onward` are its fields as they go on. A plain object: each is made very often."""

    __slots__ = (
        "event_stream",
        "fields",
        "framing",
        "has_no_length",
        "kept_alive",
        "onward",
        "reason",
        "reusable",
        "status",
    )

    def __init__(
        self, status: int, reason: bytes, fields: list[Field], onward: bytes, framing: Framing, *, reusable: bool
    ) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        self.onward = onward
        self.framing = framing
        self.reusable = reusable
        self.has_no_length = framing is Framing.CHUNKED or framing is Framing.CLOSE
        self.event_stream = False
        # As it goes to a client of HTTP/1.1 whose connection goes on: most do, and many heads are told more than once.
        self.kept_alive = b""


def read_head(status: int, reason: bytes, fields: list[Field], *, http11: bool, head_only: bool) -> ResponseHead:
    """Read the head; `head_only` when it answers a HEAD request: then no body follows whatever it says."""
    lines: list[bytes] = []
    close = nominated = coded = event_stream = False
    length: bytes | None = None
    for name, value in fields:
        key = name.lower()
        if key not in _SPECIAL:
            lines += (name, b": ", value, b"\r\n")
        elif key == b"content-length":
            if status != NO_CONTENT:
                lines += (name, b": ", value, b"\r\n")
            length = value
        elif key == b"content-type":
            lines += (name, b": ", value, b"\r\n")
            event_stream = value[:17].lower() == b"text/event-stream"
        elif key == b"connection":
            if value in _PLAIN_CONNECTION:
                continue
            named = tokens_of(value)
            close = close or b"close" in named
            nominated = nominated or bool(named - HOP_BY_HOP - NOT_NOMINABLE - {b"close", b""})
        elif key == b"transfer-encoding":
            if coded or value.strip().lower() != b"chunked":
                raise MalformedError(f"transfer coding {value!r}, where only chunked is known")
            coded = True
    framing = _framing(status, coded=coded, length=length, head_only=head_only)
    onward = _without_nominated(fields) if nominated else b"".join(lines)
    head = ResponseHead(
        status, reason, fields, onward, framing, reusable=http11 and not close and framing is not Framing.CLOSE
    )
    head.event_stream = event_stream and framing is not Framing.NONE
    return head


def response_head(head: ResponseHead, *, keep_alive: bool, http10: bool, via: bytes) -> bytes:
    plain = keep_alive and not http10
    if plain and head.kept_alive:
        return head.kept_alive
    parts = [b"HTTP/1.1 %d " % head.status, head.reason, b"\r\n", head.onward, via]
    if not http10 and head.has_no_length:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    if not keep_alive:
        parts.append(b"Connection: close\r\n")
    elif http10:
        parts.append(b"Connection: keep-alive\r\n")
    parts.append(b"\r\n")
    made = b"".join(parts)
    if plain:
        head.kept_alive = made
    return made


def check_status_line(version: str, status: int, reason: bytes) -> None:
    """Raise MalformedError for what the parser lets through."""
    if version not in {"1.1", "1.0"} or status < _LEAST_STATUS or not _REASON.fullmatch(reason):
        raise MalformedError(f"the status line says HTTP/{version} {status} {reason[:40]!r}")


def interim_head(status: int, reason: bytes, fields: list[Field]) -> bytes:
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, _without_nominated(fields))


def switching_head(fields: list[Field], via: bytes) -> bytes:
    lines = _without_nominated(fields)
    return b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b%b\r\n" % (lines, via)


def proxy_made(
    status: int, reason: str, message: str, request_id: bytes, *, keep_alive: bool, head_only: bool
) -> bytes:
    body = b"" if status == HTTPStatus.OK else json.dumps({"error": {"code": reason, "message": message}}).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(),
        b"Content-Length: %d" % len(body),
        b"X-Lab-Proxy: " + reason.encode(),
        REQUEST_ID + b": " + request_id,
    ]
    if body:
        lines.append(b"Content-Type: application/json")
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(b"Retry-After: 1")
    if not keep_alive:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head_only else body)


def _framing(status: int, *, coded: bool, length: bytes | None, head_only: bool) -> Framing:
    if coded and length is not None:
        raise MalformedError("an answer has a Content-Length or a Transfer-Encoding, this has both")
    if head_only or status in {NO_CONTENT, _NOT_MODIFIED}:
        return Framing.NONE
    if coded:
        return Framing.CHUNKED
    return Framing.CLOSE if length is None else Framing.LENGTH


def _without_nominated(fields: list[Field]) -> bytes:
    named = set().union(*(tokens_of(value) for value in every(fields, b"connection")))
    gone = HOP_BY_HOP | (named - NOT_NOMINABLE) | {b"x-lab-proxy"}
    return b"".join(b"%b: %b\r\n" % field for field in fields if field[0].lower() not in gone)
