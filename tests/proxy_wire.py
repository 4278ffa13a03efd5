"""Strict readers of what lies on the wire, before and behind the proxy.

Nothing here forgives: what these readers do not know by heart they call unsound, because some server or client behind
or before the proxy might read it differently.
"""

import json
import re
from dataclasses import dataclass

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e\x80-\xff]+) HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(:[0-9]{0,5})?")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,16}")
_FRAMING = {b"content-length", b"transfer-encoding"}
_HOP_BY_HOP = {
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"te",
    b"trailer",
    b"upgrade",
    b"http2-settings",
    b"expect",
}


class UnsoundError(Exception):
    """Bytes that two readers could take for different messages."""


class CutError(UnsoundError):
    """A message that breaks off."""

    def __str__(self) -> str:
        return f"cut: {super().__str__()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    first: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    complete: bool
    raw_head: bytes

    def every(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.fields if key.lower() == wanted]

    def one(self, name: str) -> str:
        (value,) = self.every(name)
        return value

    @property
    def names(self) -> list[str]:
        return [key.decode("latin-1").lower() for key, _ in self.fields]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Message):
    """A request as it arrived at an upstream."""

    @property
    def method(self) -> str:
        return self.first.split(b" ")[0].decode()

    @property
    def target(self) -> str:
        return self.first.split(b" ")[1].decode("latin-1")

    @property
    def id(self) -> str:
        return self.one("X-Lab-Request-Id")

    @property
    def attempt(self) -> tuple[str, int]:
        return self.id, int(self.one("X-Lab-Attempt"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Message):
    """An answer as it arrived at a client."""

    @property
    def status(self) -> int:
        return int(self.first[9:12])

    @property
    def reason(self) -> str | None:
        """Return the reason of an answer that the proxy made itself, whose shape is checked here."""
        found = self.every("X-Lab-Proxy")
        if not found:
            return None
        (reason,) = found
        assert _ID.fullmatch(self.one("X-Lab-Request-Id").encode())
        if self.status >= 400 and self.body:
            assert self.one("Content-Type") == "application/json"
            error = json.loads(self.body)["error"]
            assert error["code"] == reason, (error, reason)
            assert error["message"]
        return reason

    @property
    def closes(self) -> bool:
        return "close" in [value.lower() for value in self.every("Connection")]


def read_fields(lines: list[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    found = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise UnsoundError(f"{line!r} is no field")
        found.append((match[1], match[2].rstrip(b" \t")))
    return tuple(found)


def _split_head(data: bytes) -> tuple[bytes, list[bytes], int] | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    return first, lines, end + 4


def length_of(fields: tuple[tuple[bytes, bytes], ...]) -> int | None:
    """Return the length a message says it has, or -1 where it comes in chunks."""
    for name, _ in fields:
        plain = name.lower().replace(b"_", b"-")
        if plain in _FRAMING | {b"host"} and plain != name.lower():
            raise UnsoundError(f"{name!r} could be taken for {plain!r}")
    codings = [value for name, value in fields if name.lower() == b"transfer-encoding"]
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    if len(codings) + len(lengths) > 1:
        raise UnsoundError(f"framed more than once: {codings} {lengths}")
    if codings and codings != [b"chunked"]:
        raise UnsoundError(f"transfer coding {codings}")
    if lengths and not (re.fullmatch(rb"[0-9]+", lengths[0]) and int(lengths[0]) < 1 << 63):
        raise UnsoundError(f"length {lengths}")
    return -1 if codings else int(lengths[0]) if lengths else None


def _read_chunks(data: bytes, at: int, *, trailers: bool) -> tuple[bytes, int | None]:
    """Return the body and where it ends, or no end if it is not all there."""
    body = b""
    while (end := data.find(b"\r\n", at)) >= 0:
        if not _CHUNK.fullmatch(data[at:end]):
            raise UnsoundError(f"{data[at:end]!r} is no chunk size")
        size, at = int(data[at:end], 16), end + 2
        if size == 0:
            if trailers and data[at : at + 2] not in {b"", b"\r", b"\r\n"}:
                raise UnsoundError("trailers")
            return (body, at + 2) if data[at : at + 2] == b"\r\n" else (body, None)
        body += data[at : at + size]
        at += size
        if not b"\r\n".startswith(data[at : at + 2]):
            raise UnsoundError("a chunk longer than it says")
        if len(data) < at + 2:
            break
        at += 2
    else:
        if len(data) - at > 16:
            raise UnsoundError(f"{data[at : at + 20]!r} is no chunk size")
    return body, None


def _read_body(data: bytes, at: int, length: int | None) -> tuple[bytes, int | None]:
    if length is None:
        return b"", at
    if length < 0:
        return _read_chunks(data, at, trailers=True)
    body = data[at : at + length]
    return body, at + length if len(body) == length else None


def read_request(data: bytes, *, pseudonym: str = "rolling-lab") -> tuple[Seen, int] | None:
    """Return the first request in these bytes and its length, unless its head is not all there."""
    found = _split_head(data)
    if found is None:
        return None
    first, lines, at = found
    if not _REQUEST_LINE.fullmatch(first):
        raise UnsoundError(f"{first!r} is no request line")
    fields = read_fields(lines)
    length = length_of(fields)
    body, end = _read_body(data, at, length)
    seen = Seen(first=first, fields=fields, body=body, complete=end is not None, raw_head=data[:at])
    if seen.target != "/readyz":
        check_forwarded(seen, pseudonym)
    return seen, len(data) if end is None else end


def check_forwarded(seen: Seen, pseudonym: str) -> None:
    """Check what every request that the proxy sends on has, and what none may have."""
    names = [name.encode("latin-1") for name in seen.names]
    if not seen.target.startswith("/") and (seen.method, seen.target) != ("OPTIONS", "*"):
        raise UnsoundError(f"target {seen.target!r}")
    for name in (b"host", b"x-lab-request-id", b"x-lab-attempt", b"x-forwarded-for", b"x-forwarded-proto"):
        if names.count(name) != 1:
            raise UnsoundError(f"{names.count(name)} of {name!r} in {seen.raw_head!r}")
    if not _HOST.fullmatch(seen.one("Host").encode("latin-1")):
        raise UnsoundError(f"host {seen.one('Host')!r}")
    if not _ID.fullmatch(seen.id.encode()) or not seen.one("X-Lab-Attempt").isdigit():
        raise UnsoundError(f"id {seen.id!r}")
    if not seen.every("Via") or not seen.every("Via")[-1].endswith(f"1.1 {pseudonym}"):
        raise UnsoundError("no Via of the proxy")
    for name in _HOP_BY_HOP.intersection(names):
        raise UnsoundError(f"{name!r} was passed on")
    if set(seen.every("Connection")) - {"close", "keep-alive"}:
        raise UnsoundError(f"Connection: {seen.every('Connection')}")


def read_answer(data: bytes, *, head_only: bool = False) -> tuple[Said, int] | None:
    """Return the first final answer in these bytes and how far it reaches; it has to be all there."""
    at = 0
    while found := _split_head(data[at:]):
        first, lines, end = found
        if not _STATUS_LINE.fullmatch(first):
            raise UnsoundError(f"{first!r} is no status line")
        if first[9:10] == b"1":
            at += end
            continue
        fields = read_fields(lines)
        length = length_of(fields)
        bare = head_only or first[9:12] in {b"204", b"304"}
        if length is None and not bare:
            raise UnsoundError("an answer that only the end of the connection ends")
        body, stop = _read_body(data, at + end, None if bare else length)
        if stop is None:
            raise CutError(f"an answer that breaks off after {body[:50]!r}")
        return Said(first=first, fields=fields, body=body, complete=True, raw_head=data[at : at + end]), stop
    if data[at:]:
        raise CutError(f"a head that breaks off: {data[at:][:50]!r}")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """All that came on one connection until the proxy closed it."""

    raw: bytes
    answers: tuple[Said, ...]
    unsound: str | None
    closed: bool

    @property
    def reasons(self) -> list[str | None]:
        return [answer.reason for answer in self.answers]


def understand(raw: bytes, *, closed: bool = True, head_only: bool = False) -> Conversation:
    answers: list[Said] = []
    at, unsound = 0, None
    try:
        while (found := read_answer(raw[at:], head_only=head_only)) is not None:
            answers.append(found[0])
            at += found[1]
    except UnsoundError as error:
        unsound = str(error)
    return Conversation(raw=raw, answers=tuple(answers), unsound=unsound, closed=closed)
