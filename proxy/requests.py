"""PURE. A client's request: checked as an intermediary must (RFC 9110 §7.6, RFC 9112 §3, §6), and as it is sent on.

It is read in one pass over its fields, for every request goes through here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from proxy.fields import HOP_BY_HOP, NOT_NOMINABLE, REQUEST_ID, Field, Framing, as_named, tokens_of

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})

# Looking up a member of an enum costs more than most of what is decided by it.
_NONE, _LENGTH, _CHUNKED = Framing.NONE, Framing.LENGTH, Framing.CHUNKED
_HTTP_1_1, _HTTP_1_0 = (1, 1), (1, 0)
_FIRST_AND_NO_MORE = b"\r\nX-Lab-Attempt: 1\r\n\r\n"
_SLASH = ord("/")
_SHORT_TARGET = 256
# A length below 2**63: who reads it into 64 bits must not read another one.
_MOST_DIGITS = 18
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(:[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)

# Said by the proxy alone, or understood by it. What a client says about whom it speaks for is believed of some.
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_UNDERSTOOD = frozenset({b"host", b"expect", b"content-length", b"max-forwards"})
# These go on where they stand.
_NOTED = frozenset({b"via", b"idempotency-key", b"x-idempotency-key"})
_DROPPED = frozenset({b"x-real-ip", b"x-lab-attempt", b"x-lab-proxy"})
_SPECIAL = HOP_BY_HOP | _FORWARDED | _UNDERSTOOD | _NOTED | _DROPPED | {b"x-lab-request-id"}
_Special = dict[bytes, bytes | list[bytes]]
# With these alone there is nothing to work out.
_PLAIN = frozenset({b"host", b"content-length", b"x-lab-request-id"})
_PLAIN_CONNECTION = frozenset({b"keep-alive", b"Keep-Alive", b"close"})
_USUAL_CONNECTION = frozenset({b"keep-alive", b"close"})


class Inbound:
    """A request as it goes on. A plain object: each is made very often.

    Clients ask in the same words again and again: what was worked out of `fields` is then taken over by the next
    request on the connection (`again`), but for its id, whose field is at `id_at`.
    """

    __slots__ = (
        "expects_continue",
        "fields",
        "forwarded",
        "framing",
        "host",
        "http10",
        "id_at",
        "keep_alive",
        "length",
        "max_forwards",
        "may_repeat",
        "method",
        "middle",
        "onward",
        "request_id",
        "start",
        "target",
        "told",
        "upgrades",
    )

    def __init__(  # noqa: PLR0917  made for each request: keywords cost
        self, method: bytes, target: bytes, host: bytes, onward: bytes, request_id: bytes, keep_alive: bool
    ) -> None:
        self.method = method
        self.target = target
        self.host = host
        self.onward = onward
        self.request_id = request_id
        self.keep_alive = keep_alive
        self.http10 = False
        self.may_repeat = method in SAFE
        self.framing = _NONE
        self.length = 0
        self.fields: tuple[Field, ...] = ()
        self.id_at = -1
        self.expects_continue = False
        self.upgrades = False
        self.max_forwards: int | None = None
        self.forwarded: tuple[Field, ...] = ()
        # Kept from when they were first needed: its head up to the id, the part of that which many share, and how
        # the ledger names it.
        self.start = self.middle = self.told = b""

    def is_asked_alike(self, method: bytes, target: bytes, fields: tuple[Field, ...]) -> bool:
        """Whether a request differs from this one in no more than its id and its path."""
        if method != self.method or target[0] != _SLASH or len(target) > _SHORT_TARGET:
            return False
        at, mine = self.id_at, self.fields
        if at < 0:
            return fields == mine
        return (
            len(fields) == len(mine)
            and fields[at][0] == mine[at][0]
            and fields[:at] == mine[:at]
            and fields[at + 1 :] == mine[at + 1 :]
        )

    def again(self, target: bytes, request_id: bytes) -> "Inbound":
        """Return the next request, put in the same words: this one, which is over by then, if it has the same path."""
        if target == self.target:
            self.request_id = request_id
            return self
        made = Inbound(self.method, target, self.host, self.onward, request_id, self.keep_alive)
        made.framing, made.length = self.framing, self.length
        made.fields, made.id_at, made.middle = self.fields, self.id_at, self.middle
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    status: int
    message: str
    reason: str = "bad-request"


_UNSUPPORTED = {
    b"CONNECT": Refusal(status=501, message="this proxy opens no tunnels"),
    b"TRACE": Refusal(status=405, message="TRACE is not answered"),
}


class RequestReader:
    """Reads requests for one proxy: its limits and its name are the same for all."""

    def __init__(
        self,
        *,
        request_line: int,
        header_bytes: int,
        header_count: int,
        body_bytes: int,
        pseudonym: bytes,
        new_id: Callable[[], bytes],
    ) -> None:
        self._request_line = request_line - len(b"  HTTP/1.1")
        self._header_bytes = header_bytes
        self._header_count = header_count
        self._body_bytes = body_bytes
        self._pseudonym = pseudonym
        self._new_id = new_id
        # Clients ask for the same host again and again: it is valid as it was. (No host is this one.)
        self._last_host = b"\n"

    def read(  # noqa: PLR0917  as above
        self,
        method: bytes,
        target: bytes,
        fields: tuple[Field, ...],
        keep_alive: bool,
        version: tuple[int, int],
        upgrade: bool,
        last: Inbound | None = None,
    ) -> tuple[bytes, Inbound | Refusal]:
        """Return the request's id, and the request or why it is refused. `last` is the one before it, if alike."""
        http10 = version != _HTTP_1_1
        if last is not None and not http10 and last.is_asked_alike(method, target, fields):
            again = fields[last.id_at][1] if last.id_at >= 0 else b""
            request_id = again if _ID.fullmatch(again) else self._new_id()
            return request_id, last.again(target, request_id)
        onward, special = _sorted_out(fields)
        given = special.get(b"x-lab-request-id")
        request_id = given if isinstance(given, bytes) and _ID.fullmatch(given) else self._new_id()
        known = None if special.keys() <= _PLAIN else _Known(special)
        refusal = self._line_refusal(method, target, version)
        refusal = refusal or self._refusal(fields, onward, special, known, http10=http10)
        if refusal is not None:
            return request_id, refusal
        host = special.get(b"host")
        if host == self._last_host and target[0] == _SLASH:
            host = self._last_host
        else:
            host, target, refusal = _host_and_target(method, target, host, http10=http10)
            if refusal is not None:
                return request_id, refusal
            self._last_host = host or self._last_host
        inbound = Inbound(method, target, host, onward, request_id, keep_alive)
        inbound.http10 = http10
        length = special.get(b"content-length")
        if isinstance(length, bytes):
            inbound.framing, inbound.length = _LENGTH, int(length)
        if known is not None:
            known.tell(inbound, fields, upgrade=upgrade)
        elif host == special.get(b"host") and not http10 and not isinstance(given, list):
            inbound.fields = fields
            if given is not None:
                inbound.id_at = next(at for at, (name, _) in enumerate(fields) if name.lower() == b"x-lab-request-id")
        return request_id, inbound

    def _line_refusal(self, method: bytes, target: bytes, version: tuple[int, int]) -> Refusal | None:
        if version not in {_HTTP_1_1, _HTTP_1_0}:
            return Refusal(status=505, message="HTTP/1.1 and HTTP/1.0 are spoken here")
        if len(method) + len(target) > self._request_line:
            return Refusal(status=414, message="the request line is too long")
        return _UNSUPPORTED.get(method)

    def _refusal(
        self,
        fields: tuple[Field, ...],
        onward: bytes,
        special: "_Special",
        known: "_Known | None",
        *,
        http10: bool,
    ) -> Refusal | None:
        if len(fields) > self._header_count:
            return Refusal(status=431, message=f"more than {self._header_count} header fields")
        if len(onward) + (0 if known is None else known.size) > self._header_bytes:
            return Refusal(status=431, message=f"the header is larger than {self._header_bytes} bytes")
        length = special.get(b"content-length", b"0")
        if isinstance(length, list) or not length.isdigit() or len(length) > _MOST_DIGITS:
            return Refusal(status=400, message="Content-Length is not one number")
        if self._body_bytes and int(length) > self._body_bytes:
            message = f"the body is larger than {self._body_bytes} bytes"
            return Refusal(status=413, reason="body-too-large", message=message)
        return None if known is None else known.refusal(self._pseudonym, http10=http10)


def request_head(inbound: Inbound, attempt: int, address: bytes, forwarding: bytes) -> bytes:
    """Return the head as a replica gets it.

    `forwarding` is what `forwarding_lines` made for this client and host; it is not asked for when the request has a
    `middle` already.
    """
    start = inbound.start
    if not start or not inbound.host:
        middle = inbound.middle
        if not middle or not inbound.host:
            host = inbound.host or address
            middle = b" HTTP/1.1\r\nHost: %b\r\n%b%b%b: " % (host, inbound.onward, forwarding, REQUEST_ID)
            inbound.middle = middle
        start = inbound.start = b"%b %b%b" % (inbound.method, inbound.target, middle)
    framing = inbound.framing
    if attempt == 1 and framing is _NONE and inbound.fields:
        # In plain words, and without a body: this is all there is to say.
        return start + inbound.request_id + _FIRST_AND_NO_MORE
    parts = [start, inbound.request_id, b"\r\nX-Lab-Attempt: %d\r\n" % attempt]
    if framing is _LENGTH:
        parts.append(b"Content-Length: %d\r\n" % inbound.length)
    elif framing is _CHUNKED:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    if inbound.upgrades:
        parts.append(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    if inbound.max_forwards is not None:
        parts.append(b"Max-Forwards: %d\r\n" % (inbound.max_forwards - 1))
    parts.append(b"\r\n")
    return b"".join(parts)


def forwarding_lines(remote: bytes, host: bytes, given: tuple[Field, ...], *, via: bytes) -> bytes:
    """Return Via, X-Forwarded-* and Forwarded (RFC 7239). `given` is what the peer said, if it is believed."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in given:
        said.setdefault(name, []).append(value)
    node = b'"[%b]"' % remote if b":" in remote else remote
    element = b"for=" + node
    if host:
        element += b";host=" + (b'"%b"' % host if re.search(rb"[^A-Za-z0-9._-]", host) else host)
    element += b";proto=http"
    lines = [
        b"Via: 1.1 " + via,
        b"X-Forwarded-For: " + b", ".join([*said.get(b"x-forwarded-for", []), remote]),
        b"X-Forwarded-Proto: " + said.get(b"x-forwarded-proto", [b"http"])[0],
        b"Forwarded: " + b", ".join([*said.get(b"forwarded", []), element]),
    ]
    if b"x-forwarded-host" in said or host:
        lines.append(b"X-Forwarded-Host: " + said.get(b"x-forwarded-host", [host])[0])
    return b"\r\n".join(lines) + b"\r\n"


class _Known:
    """What the fields that the proxy understands say together, where there are more than the plainest."""

    def __init__(self, special: "_Special") -> None:
        self._special = special
        self._nominated: set[bytes] = set()
        self._upgrades = False
        if b"connection" in special:
            named = set().union(*(tokens_of(value) for value in self.all(b"connection")))
            self._upgrades = b"upgrade" in named and b"websocket" in tokens_of(b",".join(self.all(b"upgrade")))
            self._nominated = named - _USUAL_CONNECTION - HOP_BY_HOP - NOT_NOMINABLE - {b""}

    @property
    def size(self) -> int:
        return sum(len(value) if isinstance(value, bytes) else sum(map(len, value)) for value in self._special.values())

    def all(self, key: bytes) -> list[bytes]:
        found = self._special.get(key, [])
        return found if isinstance(found, list) else [found]

    def refusal(self, pseudonym: bytes, *, http10: bool) -> Refusal | None:
        special = self._special
        if b"expect" in special and set(map(bytes.lower, self.all(b"expect"))) != {b"100-continue"}:
            return Refusal(status=417, message="the only expectation known is 100-continue")
        for value in self.all(b"via"):
            if any(pseudonym in hop.split() for hop in value.split(b",")):
                return Refusal(status=508, reason="loop", message="this request has been through this proxy already")
        if b"transfer-encoding" not in special:
            return None
        codings = [coding.strip().lower() for coding in self.all(b"transfer-encoding")]
        if http10 or not codings[0] or b"content-length" in special:
            return Refusal(status=400, message="Transfer-Encoding has no place or no value here")
        if codings != [b"chunked"]:
            return Refusal(status=501, message="the only transfer coding known is chunked")
        return None

    def tell(self, inbound: Inbound, fields: tuple[Field, ...], *, upgrade: bool) -> None:
        """Complete the request with it."""
        special = self._special
        if b"transfer-encoding" in special:
            inbound.framing = _CHUNKED
        inbound.expects_continue = not inbound.http10 and b"expect" in special
        inbound.upgrades = upgrade and self._upgrades and inbound.method == b"GET" and not inbound.http10
        if b"upgrade" in special and inbound.framing is not _NONE:
            # After the body the parser waits for the other protocol, whatever the proxy does about it.
            inbound.keep_alive = False
        if b"idempotency-key" in special or b"x-idempotency-key" in special:
            inbound.may_repeat = True
        inbound.forwarded = tuple((key, value) for key in special if key in _FORWARDED for value in self.all(key))
        if self._nominated:
            inbound.onward = _without(fields, self._nominated)
        steps = self.all(b"max-forwards")
        if inbound.method != b"OPTIONS":
            inbound.onward += b"".join(b"Max-Forwards: %b\r\n" % value for value in steps)
        elif len(steps) == 1 and steps[0].isdigit():
            inbound.max_forwards = int(steps[0])


def _sorted_out(fields: tuple[Field, ...]) -> tuple[bytes, "_Special"]:
    """Return the fields that go on as they are, and by name those that are the proxy's to understand."""
    lines: list[bytes] = []
    special: _Special = {}
    for name, value in fields:
        key = name.lower()
        if key not in _SPECIAL and (b"_" not in key or as_named(key) not in _SPECIAL):
            lines += (name, b": ", value, b"\r\n")
            continue
        if key == b"connection" and value in _PLAIN_CONNECTION:
            continue
        if key in _NOTED:
            lines += (name, b": ", value, b"\r\n")
        found = special.get(key)
        if found is not None:
            special[key] = [*found, value] if isinstance(found, list) else [found, value]
        elif b"_" not in key:
            special[key] = value
    return b"".join(lines), special


def _host_and_target(
    method: bytes, target: bytes, hosts: bytes | list[bytes] | None, *, http10: bool
) -> tuple[bytes, bytes, Refusal | None]:
    if isinstance(hosts, list) or (hosts is None and not http10):
        found = len(hosts) if hosts else 0
        return b"", target, Refusal(status=400, message=f"a request has one Host field, this has {found}")
    host = hosts or b""
    if not _HOST.fullmatch(host) and not (http10 and not host):
        return host, target, Refusal(status=400, message="the Host field is not a host with an optional port")
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute:
            host, target = absolute[1], _origin_form(method, absolute[2])
        elif not (target == b"*" and method == b"OPTIONS"):
            return host, target, Refusal(status=400, message="the target is neither a path nor an absolute address")
    if not _HOST.fullmatch(host) and not (http10 and not host):
        return host, target, Refusal(status=400, message="the Host field is not a host with an optional port")
    return host, target, None


def _origin_form(method: bytes, rest: bytes) -> bytes:
    if not rest:
        return b"*" if method == b"OPTIONS" else b"/"
    return rest if rest.startswith(b"/") else b"/" + rest


def _without(fields: tuple[Field, ...], nominated: set[bytes]) -> bytes:
    gone = (_SPECIAL - _NOTED) | {as_named(key) for key in nominated}
    return b"".join(b"%b: %b\r\n" % field for field in fields if as_named(field[0].lower()) not in gone)
