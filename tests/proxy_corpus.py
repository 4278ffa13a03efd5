"""Requests that two readers could take for different messages, and close relatives of them that are none.

Every case is what a client sends first on a connection; whoever sends it adds another request after it. A case that is
refused gets one answer and the end of its connection, and no upstream ever has the whole of it.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

ID = b"@ID@"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: lab.test\r\nX-Lab-Request-Id: smuggled\r\n\r\n"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_CHUNKED = b"Transfer-Encoding: chunked"
_CTL = [bytes([code]) for code in (*range(32), 127) if code not in b"\t\r\n"]
_ID_FIELD = b"X-Lab-Request-Id: " + ID


class Fate(Enum):
    REFUSED = auto()
    FORWARDED = auto()
    EITHER = auto()
    """Lawful, or close to it: refused as a whole, or passed on as exactly what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    family: str
    name: str
    raw: bytes
    fate: Fate = Fate.REFUSED
    statuses: frozenset[int] = frozenset({400})
    body: bytes | None = None

    def bytes_for(self, id: str) -> bytes:
        return self.raw.replace(ID, id.encode())


def message(
    *fields: bytes, line: bytes = b"POST /case HTTP/1.1", host: bytes = b"Host: lab.test\r\n", body: bytes = b""
) -> bytes:
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in (_ID_FIELD, *fields)) + b"\r\n" + body


def each(
    family: str,
    raws: Iterable[tuple[object, bytes]],
    fate: Fate = Fate.REFUSED,
    *statuses: int,
    body: bytes | None = None,
) -> Iterator[Case]:
    for name, raw in raws:
        yield Case(family=family, name=repr(name), raw=raw, fate=fate, statuses=frozenset(statuses or {400}), body=body)


def request_lines() -> Iterator[Case]:
    family = "request lines"
    bad = [b"POST\t/case HTTP/1.1", b"POST /case\tHTTP/1.1"]
    bad += [b"POST /ca se HTTP/1.1", b"POST /case HTTP/1.1 ", b"POST /case HTTP/1.1 x", b" POST /case HTTP/1.1"]
    bad += [b"POST /case", b"POST", b"/case HTTP/1.1", b"POST HTTP/1.1", b"POST /case HTTP", b"POST /case HTTP/"]
    bad += [b"POST /case HTTP/1", b"POST /case HTTP/1.", b"POST /case HTTP/.1", b"POST /case HTTP/1.1.1"]
    bad += [b"POST /case http/1.1", b"POST /case HTTP 1.1", b"POST /case HTTP/1,1", b"POST /case XTTP/1.1"]
    bad += [b"POST /case HTTP/11", b"POST /case HTTP/1.10", b"POST /case HTTP/01.1", b"POST /case HTTP/+1.1"]
    bad += [b"POST /case HTTPS/1.1", b"POST /case ICE/1.0", b"HTTP/1.1 200 OK", b"\x16\x03\x01"]
    bad += [b"POST case HTTP/1.1", b"POST ?case HTTP/1.1", b"POST #case HTTP/1.1", b"POST /case\x00 HTTP/1.1"]
    bad += [b"POST /case" + ctl + b"x HTTP/1.1" for ctl in _CTL]
    bad += [b"PO" + byte + b"ST /case HTTP/1.1" for byte in (*_CTL[::6], b":", b"(", b"/", b"\xe9", b'"')]
    yield from each(family, ((line, message(line=line)) for line in bad), Fate.REFUSED, 400, 405, 501, 505)
    versions = [b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/0.0"]
    yield from each(family, ((v, message(line=b"POST /case " + v)) for v in versions), Fate.REFUSED, 400, 505)
    yield from each(family, [("h2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")], Fate.REFUSED, 400, 501, 505)
    loose = [
        b"POST  /case HTTP/1.1",
        # aiohttp's parser takes it for HTTP/1.0, and does not say so
        b"POST /case RTSP/1.0",
        b"POST /case  HTTP/1.1",
        b"POST /case#part HTTP/1.1",
        b"POST /\xc3\xa9 HTTP/1.1",
        b"POST //case HTTP/1.1",
    ]
    loose += [b"post /case HTTP/1.1", b"FOO /case HTTP/1.1", b"PROPFIND /case HTTP/1.1", b"M-SEARCH /case HTTP/1.1"]
    loose += [b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1", b"POST /" + b"a" * 7000 + b" HTTP/1.1"]
    yield from each(family, ((line, message(line=line)) for line in loose), Fate.EITHER, 400, 405, 501)
    yield from each(family, ((n, b"\r\n" * n + message()) for n in (1, 2)), Fate.EITHER, body=b"")
    yield from each(family, [("lf", b"\n" + message()), ("cr", b"\r" + message())], Fate.EITHER)
    yield from each(family, [("tunnel", message(line=b"CONNECT lab.test:80 HTTP/1.1"))], Fate.REFUSED, 400, 501)
    yield from each(family, [("trace", message(line=b"TRACE /case HTTP/1.1"))], Fate.REFUSED, 405)


def names() -> Iterator[Case]:
    """Bytes that no field name may hold; before them all stands the space before the colon."""
    family = "field names"
    wrong = [*_CTL, *(bytes([code]) for code in b' \t"(),/;<=>?@[\\]{}'), b"\x80", b"\xa0", b"\xff", b"\r", b"\n"]
    for byte in wrong:
        spots = {"before": byte + b"X-Y", "within": b"X" + byte + b"Y", "after": b"X-Y" + byte}
        yield from each(family, (((spot, byte), message(name + b": 1")) for spot, name in spots.items()))
    for byte, known in itertools.product((b" ", b"\t", b"\x0b", b"\x00", b"\r"), (b"Host", b"Content-Length")):
        field = known + byte + (b": lab.test" if known == b"Host" else b": 0")
        host = b"" if known == b"Host" else b"Host: lab.test\r\n"
        yield from each(family, [((known, byte), message(field, host=host))])
    yield from each(family, ((line, message(line)) for line in (b": 1", b"X", b"X 1", b"=", b" ", b"\t", b"X\x00")))
    lawful = [b"!#$%&'*+-.^_`|~: 1", b"X:1", b"X:", b"X:\t1\t", b"X: :", b"X: a:b", b"0: 1", b"X-Y_Z: 1"]
    yield from each(family, ((line, message(line)) for line in lawful), Fate.FORWARDED, body=b"")


def values() -> Iterator[Case]:
    family = "field values"
    for byte in (*_CTL, b"\r", b"\n"):
        spots = {"before": byte + b"a", "within": b"a" + byte + b"b", "after": b"a" + byte}
        yield from each(family, (((spot, byte), message(b"X: " + value)) for spot, value in spots.items()))
    for byte in (b"\x00", b"\x0b", b"\r", b"\n", b"\x7f"):
        for known in (b"Host: lab.test", b"Content-Length: 0", _CHUNKED, b"Connection: close", b"X-Lab-Request-Id: a"):
            host = b"" if known.startswith(b"Host") else b"Host: lab.test\r\n"
            yield from each(family, [((known, byte), message(known + byte, host=host))])
    lawful = [b"\x80\xff", b"\xc3\xa9", b'"a, b"', b"a\tb", b"a  b", b"%0d%0aX: 1", b"{}|\\^`<>", b"a" * 4000]
    yield from each(family, ((v, message(b"X: " + v)) for v in lawful), Fate.FORWARDED, body=b"")


def lines() -> Iterator[Case]:
    """Line ends that some readers take and others do not, and lines that go on on the next."""
    family = "line ends"
    plain = message(b"X: 1", b"Content-Length: 5", body=b"hello")
    head, body = plain[:-5], plain[-5:]
    whole = {b"\n": "lf", b"\r": "cr", b"\n\r": "lfcr", b"\r\r\n": "crcrlf"}
    yield from each(family, ((name, head.replace(b"\r\n", end) + body) for end, name in whole.items()))
    at = [n for n in range(len(head)) if head[n : n + 2] == b"\r\n"]
    for number, end in itertools.product(range(len(at)), (b"\n", b"\r", b"\r\r\n", b"\x0b\r\n", b"\x00\r\n")):
        cut = at[number]
        yield from each(family, [((number, end), head[:cut] + end + head[cut + 2 :] + body)])
    for fold, after in itertools.product((b"\r\n ", b"\r\n\t", b"\r\n  \t"), range(1, len(at) - 1)):
        yield from each(family, [((after, fold), head[: at[after]] + fold + b"folded" + head[at[after] :] + body)])
    folded = [b"Content-Length:\r\n 5", b"Content-Length: 5\r\n ", b"Transfer-Encoding:\r\n chunked"]
    folded += [b"Transfer-Encoding: chunked\r\n ,identity", b"X: 1\r\n Transfer-Encoding: chunked", b"X:\r\n\t"]
    folded += [b"X: a\r\n Content-Length: 5", b"X: a\n Content-Length: 5", b"X: a\nContent-Length: 5", b"X: a\r b"]
    yield from each(family, ((field, message(field, body=b"hello")) for field in folded))
    first = [b" X: 1\r\nHost: lab.test\r\n", b"\tHost: lab.test\r\n", b"\x0bHost: lab.test\r\n"]
    yield from each(family, ((host, message(host=host)) for host in first))


def lengths() -> Iterator[Case]:
    family = "content lengths"
    bad = [b"+5", b"-5", b"-0", b"5,5", b"5, 5", b"5,", b",5", b"5 5", b"5;", b"5.0", b"5e0", b"0x5", b"0b101", b"0o5"]
    bad += [b"", b" ", b"a", b"5a", b"a5", b"5_0", b'"5"', b"five", b"\xb2", b"\xd9\xa5", b"5\xa0", b"\xef\xbc\x95"]
    bad += [b"18446744073709551616", b"18446744073709551621", b"9" * 30, b"99999999999999999999999999999999999995"]
    bad += [
        b"5\x00",
        b"5\x0b",
        b"5\x0c",
        b"\x0b5",
        b"5 \x0b",
        b"5%",
        b"0,5",
        b"5,0",
        b"5/5",
        b"(5)",
        b"5 "[:1] + b"\xff",
    ]
    for value in bad:
        field = b"Content-Length: " + value
        yield from each(family, [(("post", value), message(field, body=b"hello"))])
        yield from each(family, [(("get", value), message(field, line=b"GET /case HTTP/1.1"))])
    twice = [
        (b"5", b"5"),
        (b"5", b"6"),
        (b"0", b"5"),
        (b"5", b"0"),
        (b"5", b""),
        (b"", b"5"),
        (b"5", b"05"),
        (b"5", b"x"),
    ]
    for (one, two), between in itertools.product(twice, ([], [b"X: 1"])):
        fields = [b"Content-Length: " + one, *between, b"Content-Length: " + two]
        yield from each(family, [((one, two, len(between)), message(*fields, body=b"hello"))])
    huge = [b"9223372036854775807", b"18446744073709551615", b"4294967301", b"9223372036854775808"]
    yield from each(
        family, ((v, message(b"Content-Length: " + v, body=SMUGGLED)) for v in huge), Fate.EITHER, 400, 408, 413
    )
    cased = [b"content-length: 5", b"Content-length: 6"]
    yield from each(family, [("cases", message(*cased, body=b"hello"))])
    lawful = [b"Content-Length: 5", b"content-length:5", b"CONTENT-LENGTH: \t5\t ", b"Content-Length:5 "]
    yield from each(family, ((f, message(f, body=b"hello")) for f in lawful), Fate.FORWARDED, body=b"hello")
    zeros = [b"Content-Length: 05", b"Content-Length: 00000000000000000005"]
    yield from each(family, ((f, message(f, body=b"hello")) for f in zeros), Fate.EITHER, body=b"hello")
    within = message(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)
    yield from each(family, [("a request as a body", within)], Fate.FORWARDED, body=SMUGGLED)
    on_get = message(b"Content-Length: 5", line=b"GET /case HTTP/1.1", body=b"hello")
    yield from each(family, [("a GET with a body", on_get)], Fate.FORWARDED, body=b"hello")
    alike = [b"Content_Length: 50", b"Content-Length-: 50", b"XContent-Length: 50", b"Content.Length: 50"]
    yield from each(
        family, ((f, message(f, b"Content-Length: 5", body=b"hello")) for f in alike), Fate.FORWARDED, body=b"hello"
    )


def hosts() -> Iterator[Case]:
    family = "hosts"
    bad = [
        b"a,b",
        b"a b",
        b"u@h",
        b"u:p@h",
        b"h/p",
        b"h?q",
        b"h#f",
        b"h:x",
        b"h:-1",
        b"h:1:2",
        b"h:80,h:80",
        b"http://h",
    ]
    bad += [
        b"[::1",
        b"::1]",
        b"[::1]x",
        b"[::1]:x",
        b"[g]",
        b"h\\i",
        b'"h"',
        b"<h>",
        b"h^",
        b"h|i",
        b"h`",
        b"{h}",
        b"h\x00",
    ]
    bad += [
        b"\xc3\xa9.test",
        b"h\x7f",
        b"h\ti",
        b"h:123456789",
        b"[]",
        b"[::1]]",
        b"@",
        b"h@",
        b":@h",
        b"/",
        b"//h",
        b"*,*",
    ]
    yield from each(family, ((h, message(host=b"Host: " + h + b"\r\n")) for h in bad))
    yield from each(family, ((h, message(host=b"Host:" + h + b"\r\n")) for h in (b"", b" ", b"\t")))
    yield from each(family, [("none", message(host=b""))])
    twice = [(b"lab.test", b"lab.test"), (b"a", b"b"), (b"a", b""), (b"", b"a")]
    for (one, two), name in itertools.product(twice, (b"Host", b"host", b"HOST")):
        host = b"Host: " + one + b"\r\n" + name + b": " + two + b"\r\n"
        yield from each(family, [((one, two, name), message(host=host))])
    yield from each(family, [("far", message(b"X: 1", b"Host: lab.test"))])
    lawful = [
        b"lab.test",
        b"LAB.test",
        b"lab.test:80",
        b"lab.test:",
        b"127.0.0.1:8080",
        b"[::1]",
        b"[::1]:80",
        b"a_b.test",
    ]
    lawful += [b"lab.test.", b"xn--e1afmkfd.test", b"a%20b", b"a" * 255, b"a;b", b"a=b&c", b"-"]
    yield from each(family, ((h, message(host=b"Host: " + h + b"\r\n")) for h in lawful), Fate.FORWARDED, body=b"")
    alike = message(b"X-Host: evil", b"Hosts: evil", b"Host_: evil")
    yield from each(family, [("look-alikes", alike)], Fate.EITHER, body=b"")


def absolutes() -> Iterator[Case]:
    family = "absolute targets"

    def asks(target: bytes, host: bytes = b"Host: lab.test\r\n") -> bytes:
        return message(line=b"GET " + target + b" HTTP/1.1", host=host)

    bad = [b"http://", b"http:///p", b"http://u@h/", b"http://u:p@h/", b"http://a,b/", b"http://h:x/", b"http://h\\i/"]
    bad += [b"http://[::1/", b"http:/h/", b"http:h", b"http://h:1:2/", b"http://@/", b"http://:80/", b"http://h\x00/"]
    bad += [
        b"ftp://h/",
        b"file:///etc/passwd",
        b"gopher://h",
        b"//",
        b"lab.test:80",
        b"lab.test",
        b"h/p",
        b"javascript:1",
    ]
    yield from each(family, ((t, asks(t)) for t in bad if t != b"//"), Fate.REFUSED, 400, 501)
    given = [
        b"http://right.test",
        b"http://right.test/",
        b"http://right.test/p?q",
        b"http://right.test?q",
        b"HTTP://right.test/",
    ]
    given += [b"http://right.test:81/", b"http://[::1]:81/p", b"https://right.test/p", b"http://right.test//p"]
    yield from each(family, ((t, asks(t)) for t in given), Fate.FORWARDED, 400, body=b"")
    conflicts = [
        b"Host: other.test\r\n",
        b"Host: right.test\r\nHost: other.test\r\n",
        b"",
        b"Host: u@h\r\n",
        b"Host:\r\n",
    ]
    yield from each(family, [("another host", asks(b"http://right.test/p", conflicts[0]))], Fate.FORWARDED, body=b"")
    yield from each(family, ((h, asks(b"http://right.test/p", h)) for h in conflicts[1:4]))
    yield from each(family, [("an empty host", asks(b"http://right.test/p", conflicts[4]))], Fate.EITHER)
    yield from each(family, [("//", asks(b"//evil.test/p"))], Fate.EITHER, body=b"")
