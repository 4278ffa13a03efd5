"""The part of the corpus that is about where a request ends: transfer codings, chunks, trailers, what follows."""

import itertools
from collections.abc import Iterator

from tests.proxy_corpus import CHUNKS, ID, SMUGGLED, Case, Fate, each, message

_HIDDEN = b"0\r\n\r\n" + SMUGGLED
_CHUNKED = b"Transfer-Encoding: chunked"


def coding_names() -> Iterator[Case]:
    """Names that some reader somewhere takes for Transfer-Encoding."""
    family = "names of transfer codings"
    name = b"Transfer-Encoding"
    bytes_ = [
        b" ",
        b"\t",
        b"\x00",
        b"\x01",
        b"\x0b",
        b"\x0c",
        b"\x1f",
        b"\x7f",
        b"\x80",
        b"\xa0",
        b"\xff",
        b"\r",
        b"\n",
    ]
    bytes_ += [b"\xc2\xad", b"\xe2\x80\x8b", b'"', b"(", b",", b"/", b";", b"<", b"=", b"@", b"[", b"\\", b"{"]
    for byte in bytes_:
        spots = {"before": byte + name, "within": b"Transfer-" + byte + b"Encoding", "after": name + byte}
        for spot, mutated in spots.items():
            field = mutated + b": chunked"
            raw = message(b"Content-Length: %d" % len(_HIDDEN), field, body=_HIDDEN)
            yield from each(family, [((spot, byte, "length"), raw), ((spot, byte), message(field, body=CHUNKS))])
    alike = [
        b"Transfer_Encoding",
        b"TransferEncoding",
        b"Transfer-Encoding-",
        b"-Transfer-Encoding",
        b"Transfer.Encoding",
    ]
    alike += [
        b"Content-Encoding",
        b"X-Transfer-Encoding",
        b"Transfer-Encodin",
        b"Transfer-Encoding!",
        b"Transfer--Encoding",
    ]
    alike += [
        b"Transfer~Encoding",
        b"'Transfer-Encoding'",
        b"TE",
        b"Transfer-Codings",
        b"transfer_encoding",
        b"_Transfer-Encoding",
    ]
    for other in alike:
        raw = message(b"Content-Length: %d" % len(_HIDDEN), other + b": chunked", body=_HIDDEN)
        yield from each(family, [((other, "length"), raw)], Fate.EITHER, body=_HIDDEN)
        yield from each(family, [(other, message(other + b": chunked", body=CHUNKS))], Fate.EITHER, body=b"")


def codings() -> Iterator[Case]:
    """Values that are not exactly `chunked`, and any value at all beside a length."""
    family = "transfer codings"
    bad = [
        b"",
        b" ",
        b"chunk",
        b"chunke",
        b"chunkedd",
        b"xchunked",
        b"x-chunked",
        b"chunked-x",
        b"chunkedx",
        b"chun ked",
    ]
    bad += [
        b"identity",
        b"gzip",
        b"deflate",
        b"br",
        b"compress",
        b"gzip, identity",
        b"chunked, gzip",
        b"chunked, identity",
    ]
    bad += [
        b"identity, chunked",
        b"gzip, chunked",
        b"deflate,chunked",
        b"chunked, chunked",
        b"chunked,chunked",
        b"cow, chunked",
    ]
    bad += [
        b"chunked;",
        b"chunked;q=1",
        b"chunked; x",
        b'"chunked"',
        b"'chunked'",
        b"(chunked)",
        b"[chunked]",
        b"{chunked}",
    ]
    bad += [
        b"chunked chunked",
        b"chunked\tchunked",
        b"chunked x",
        b"x chunked",
        b"chunked;chunked",
        b"chunked/x",
        b"chunked=",
    ]
    bad += [
        b"\\chunked",
        b"chunked\\",
        b"chunked:",
        b":chunked",
        b";chunked",
        b"=chunked",
        b"chunked\xa0",
        b"\xa0chunked",
    ]
    bad += [
        b"\xc2\xa0chunked",
        b"chunked\xff",
        b"\xef\xbb\xbfchunked",
        b"c\xd4\xabunked",
        b"%63hunked",
        b"chunked%00",
        b"0",
    ]
    bad += [
        b"chunked" + byte
        for byte in (b"\x00", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\r", b"\n", b"\n ", b"\r\n ")
    ]
    bad += [
        byte + b"chunked"
        for byte in (b"\x00", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\r", b"\n", b"\n ", b"\r\n ")
    ]
    bad += [b"chun" + byte + b"ked" for byte in (b"\x00", b"\x0b", b"\r", b"\n", b"\r\n ", b"\x7f", b"-", b"_", b",")]
    good = [b"chunked", b"Chunked", b"CHUNKED", b"chUNked", b" chunked", b"chunked "]
    lists = [
        b"\tchunked\t",
        b"chunked \t ",
        b",chunked",
        b"chunked,",
        b", chunked",
        b"chunked ,",
        b",,chunked,,",
        b"chunked, ",
    ]
    length = b"Content-Length: %d" % len(_HIDDEN)
    for value in bad:
        yield from each(family, [(value, message(b"Transfer-Encoding:" + value, body=CHUNKS))], Fate.REFUSED, 400, 501)
    for value in [*bad, *good, *lists]:
        field = b"Transfer-Encoding:" + value
        both = {"before": message(field, length, body=_HIDDEN), "after": message(length, field, body=_HIDDEN)}
        yield from each(family, (((value, spot), raw) for spot, raw in both.items()), Fate.REFUSED, 400, 501)
    lawful = ((value, message(b"Transfer-Encoding:" + value, body=CHUNKS)) for value in good)
    yield from each(family, lawful, Fate.FORWARDED, body=b"hello")
    loose = ((value, message(b"Transfer-Encoding:" + value, body=CHUNKS)) for value in lists)
    yield from each(family, loose, Fate.EITHER, 400, 501, body=b"hello")
    seconds = [b"chunked", b"identity", b"gzip", b"x", b"", b"CHUNKED"]
    for one, two in itertools.product(seconds, seconds):
        fields = [b"Transfer-Encoding: " + one, b"X: 1", b"transfer-encoding: " + two]
        yield from each(family, [((one, two), message(*fields, body=CHUNKS))], Fate.REFUSED, 400, 501)
    for line in (b"POST /case HTTP/1.0", b"GET /case HTTP/1.0"):
        yield from each(family, [(line, message(_CHUNKED, line=line, body=CHUNKS))])
        raw = message(_CHUNKED, b"Content-Length: 5", line=line, body=CHUNKS)
        yield from each(family, [((line, "length"), raw)])


def chunks() -> Iterator[Case]:
    family = "chunks"

    def chunked(body: bytes) -> bytes:
        return message(_CHUNKED, body=body)

    sizes = [
        b"",
        b" ",
        b"g",
        b"zz",
        b"0x5",
        b"-5",
        b"+5",
        b" 5",
        b"\t5",
        b"5 x",
        b"5_",
        b"5.",
        b"5,",
        b"5h",
        b"\x005",
        b"5\x00",
    ]
    sizes += [b"\xb5", b"5\xa0", b"5\x0b", b"F" * 17, b"1" + b"0" * 16 + b"5"]
    sizes += [b"1" + b"0" * 32 + b"5", b"5\r", b"'5'", b"(5)", b"5:", b"5=", b"5/", b"hello", b"\\5", b"%35"]
    yield from each(family, ((s, chunked(s + b"\r\nhello\r\n0\r\n\r\n")) for s in sizes))
    huge = [b"F" * 16, b"8000000000000005", b"7FFFFFFFFFFFFFFF", b"FFFFFFFF", b"100000005"]
    yield from each(family, ((s, chunked(s + b"\r\n" + SMUGGLED)) for s in huge), Fate.EITHER, 400, 408, 413)
    ends = {
        "lf after a size": b"5\nhello\r\n0\r\n\r\n",
        "cr after a size": b"5\rhello\r\n0\r\n\r\n",
        "crcr after a size": b"5\r\r\nhello\r\n0\r\n\r\n",
        "lf after the data": b"5\r\nhello\n0\r\n\r\n",
        "cr after the data": b"5\r\nhello\r0\r\n\r\n",
        "nothing after the data": b"5\r\nhello0\r\n\r\n",
        "more than it says": b"4\r\nhello\r\n0\r\n\r\n",
        "less than it says": b"7\r\nhello\r\n0\r\n\r\n",
        "far more": b"5\r\nhello" + SMUGGLED,
        "two more": b"5\r\nhelloXX0\r\n\r\n" + SMUGGLED,
        "lf after the last size": b"5\r\nhello\r\n0\n\r\n",
        "lf at the end": b"5\r\nhello\r\n0\r\n\n",
        "cr at the end": b"5\r\nhello\r\n0\r\n\rX",
        "lf lf": b"5\r\nhello\r\n0\n\n",
        "a second body": b"5\r\nhello\r\n\r\n0\r\n\r\n",
        "no size": b"\r\nhello\r\n0\r\n\r\n",
        "a request where a size should be": SMUGGLED,
    }
    yield from each(family, ((name, chunked(body)) for name, body in ends.items()))
    strange = [b"5;\nx", b"5;a\nGET /smuggled HTTP/1.1", b"5;a=b\rc", b"5;\x00", b"5;a=\x00", b"5;a\x7fb", b"5;a=\x0b"]
    strange += [b"5;" + b"a" * 70_000, b'5;a="\n"', b'5;a="\r"', b"5;a\n", b"5 \n"]
    yield from each(family, ((e, chunked(e + b"\r\nhello\r\n0\r\n\r\n")) for e in strange), Fate.REFUSED, 400, 413)
    lawful = [b"5;a", b"5;a=b", b'5;a="b;c"', b"5;a;b=c", b"5;" + b"a" * 200]
    loose = [b"5 ", b"5\t", b"5 ;a", b"5; a", b"5;", b"5;;", b"5;=", b"5;a=", b'5;a="', b'5;a="\\"', b"5;a=b c", b"5;,"]
    loose += [b"5;\x80", b"5 ; a = b", b"005", b"0000000000000005", b"00000000000000005"]
    yield from each(
        family, ((e, chunked(e + b"\r\nhello\r\n0\r\n\r\n")) for e in lawful), Fate.FORWARDED, body=b"hello"
    )
    yield from each(family, ((e, chunked(e + b"\r\nhello\r\n0\r\n\r\n")) for e in loose), Fate.EITHER, body=b"hello")
    good = [b"5\r\nhello\r\n0\r\n\r\n", b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", b"5\r\nhello\r\n000\r\n\r\n"]
    good += [b"5\r\nhello\r\n0;a=b\r\n\r\n"]
    yield from each(family, ((body, chunked(body)) for body in good), Fate.FORWARDED, body=b"hello")
    hidden = b"%X\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    yield from each(family, [("a request as a chunk", chunked(hidden))], Fate.FORWARDED, body=SMUGGLED)
    yield from each(family, [("none", chunked(b"0\r\n\r\n"))], Fate.FORWARDED, body=b"")


def trailers() -> Iterator[Case]:
    family = "trailers"

    def ends(*lines: bytes) -> bytes:
        return message(_CHUNKED, b"Trailer: X", body=b"5\r\nhello\r\n0\r\n" + b"".join(lines) + b"\r\n")

    bad = [b"X\r\n", b": 1\r\n", b"X : 1\r\n", b" X: 1\r\n", b"X: 1\r\n folded\r\n", b"X: a\x00b\r\n", b"X: a\rb\r\n"]
    bad += [
        b"X\x00: 1\r\n",
        b"X(: 1\r\n",
        b"X: a\x01\r\n",
        b"X\x80: 1\r\n",
        b"GET /smuggled HTTP/1.1\r\n",
        b"X: 1\r\r\n",
    ]
    bad += [b"X: 1\n", b"X: a\nb: c\r\n", b"X: a\x7f\r\n", b"=\r\n", b"X\tY: 1\r\n"]
    yield from each(family, ((line, ends(line)) for line in bad))
    lawful = [b"X: 1\r\n", b"X:\r\n", b"X: 1\r\nY: 2\r\n", b"X-Sum: \xff\r\n"]
    yield from each(family, ((line, ends(line)) for line in lawful), Fate.FORWARDED, body=b"hello")
    framing = [b"Content-Length: 50\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil.test\r\n", b"Trailer: Y\r\n"]
    framing += [
        b"Connection: close\r\n",
        b"X-Lab-Attempt: 9\r\n",
        b"X-Forwarded-For: 6.6.6.6\r\n",
        b"Expect: 100-continue\r\n",
    ]
    framing += [b"Content-Length: 0\r\n", b"Transfer-Encoding: identity\r\n", b"Upgrade: websocket\r\n"]
    yield from each(family, ((line, ends(line)) for line in framing), Fate.EITHER, body=b"hello")
    yield from each(family, [("huge", ends(b"X: " + b"a" * 100_000 + b"\r\n"))], Fate.REFUSED, 400, 413, 431)
    yield from each(family, [("many", ends(b"X: 1\r\n" * 5000))], Fate.REFUSED, 400, 413, 431)


def nominations() -> Iterator[Case]:
    """What `Connection` names is the hop's; but the ends of a message are not to be taken away."""
    family = "connection options"
    hello = b"Content-Length: 5"
    taken = [b"Content-Length", b"content-length", b"Host", b"X-Lab-Request-Id", b"Via"]
    taken += [b"X-Forwarded-For", b"Cookie, Host, Content-Length", b"Authorization", b"X-Lab-Attempt", b"keep-alive, X"]
    taken += [b",", b"", b"a,,b", b"Keep-Alive", b"TE", b"X, X, X", b"upgrade", b'"Host"', b"\xff"]
    raws = ((t, message(hello, b"Connection: " + t, b"X: 1", body=b"hello")) for t in taken)
    yield from each(family, raws, Fate.FORWARDED, body=b"hello")
    last = message(hello, b"Connection: close, Content-Length", body=b"hello")
    yield from each(family, [("close", last)], Fate.EITHER, body=b"hello")
    chunked = [b"Transfer-Encoding", b"transfer-encoding, Host", b"Trailer, TE, Transfer-Encoding"]
    raws = ((t, message(_CHUNKED, b"Connection: " + t, body=CHUNKS)) for t in chunked)
    yield from each(family, raws, Fate.FORWARDED, body=b"hello")
    more = [b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Connection: Upgrade, HTTP2-Settings"]
    yield from each(family, [("h2c", message(hello, *more, body=b"hello"))], Fate.FORWARDED, body=b"hello")
    old = [b"Upgrade: TLS/1.0, HTTP/1.1", b"Connection: Upgrade"]
    yield from each(family, [("tls", message(hello, *old, body=b"hello"))], Fate.FORWARDED, body=b"hello")
    hops = [
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"TE: trailers, deflate",
        b"Proxy-Authorization: x",
    ]
    yield from each(family, ((h, message(hello, h, body=b"hello")) for h in hops), Fate.FORWARDED, body=b"hello")
    expected = [b"x", b"100-continue, x", b"", b"100-continu", b"200-ok", b"100-continue;q=1"]
    raws = ((e, message(b"Expect: " + e, line=b"GET /case HTTP/1.1")) for e in expected)
    yield from each(family, raws, Fate.EITHER, 400, 417, body=b"")


def followers() -> Iterator[Case]:
    """A lawful request, and what comes right after it in the same segment."""
    family = "what follows"
    first = {
        "a length": (message(b"Content-Length: 5", body=b"hello"), b"hello"),
        "chunks": (message(_CHUNKED, body=CHUNKS), b"hello"),
        "nothing": (message(b"Content-Length: 0"), b""),
        "no length": (message(line=b"GET /case HTTP/1.1"), b""),
    }
    after = [b"\x00", b"X", b"0\r\n\r\n", b"hello", b"\x16\x03\x01\x02", b" \r\n", b"\n\n", b"\r\n", b"5\r\nhello\r\n"]
    after += [b"HTTP/1.1 200 OK\r\n\r\n", message(b"Transfer-Encoding : chunked").replace(ID, b"x-" + ID)]
    for (name, (raw, body)), more in itertools.product(first.items(), after):
        yield from each(family, [((name, more[:20]), raw + more)], Fate.EITHER, body=body)
    old = message(line=b"GET /case HTTP/1.0")
    yield from each(family, [("1.0", old)], Fate.EITHER, body=b"")
    kept = message(b"Connection: keep-alive", b"Content-Length: 5", line=b"POST /case HTTP/1.0", body=b"hello")
    yield from each(family, [("1.0 kept", kept)], Fate.FORWARDED, body=b"hello")
    untold = message(line=b"POST /case HTTP/1.0", body=b"hello")
    yield from each(family, [("1.0 body without a length", untold)], Fate.EITHER, body=b"")
