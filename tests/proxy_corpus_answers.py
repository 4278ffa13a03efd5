"""Answers of a replica that two readers could take for different messages, and lawful ones that look like them."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
_CTL = [bytes([code]) for code in (*range(32), 127) if code not in b"\t\r\n"]


class Worth(Enum):
    BAD = auto()
    """The client gets a 502."""
    BAD_OR_CUT = auto()
    """The client gets a 502, or sees that the answer breaks off: as much as had come when it went wrong."""
    EMPTY = auto()
    """The client gets a 502 that says that the replica closed."""
    GOOD = auto()
    """The client gets the answer."""
    GOOD_OR_BAD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCase:
    name: str
    raw: bytes
    worth: Worth
    status: int = 200
    body: bytes = b"hello"
    method: str = "GET"
    closes: bool = False
    """Whether the replica closes after it."""
    reusable: bool = False
    cut: int = 0
    """How many bytes come in a segment of their own, before the rest."""


def _each(raws: Iterable[tuple[object, bytes]], worth: Worth, **fields: object) -> Iterator[AnswerCase]:
    for name, raw in raws:
        yield AnswerCase(name=repr(name), raw=raw, worth=worth, **fields)  # type: ignore[arg-type]


def _with(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK", body: bytes = b"hello") -> bytes:
    return line + b"\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


_FIVE = b"Content-Length: 5"
_CHUNKED = b"Transfer-Encoding: chunked"


def status_lines() -> Iterator[AnswerCase]:
    bad = [
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/3.0 200 OK",
        b"HTTP/1 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
    ]
    bad += [
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 -20 OK",
        b"HTTP/1.1 2x0 OK",
        b"200 OK",
    ]
    bad += [
        b"HTTP/1.1",
        b"HTTP/1.1 ",
        b"HTTP/1.1 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1200 OK",
        b"HTTPS/1.1 200 OK",
        b"XTTP/1.1 200 OK",
    ]
    bad += [
        b"HTTP/1.1 200OK",
        b" HTTP/1.1 200 OK",
        b"\x00HTTP/1.1 200 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 000 OK",
        b"HTTP/11 200 OK",
    ]
    bad += [
        b"GET / HTTP/1.1",
        b"nonsense",
        b"<html>",
        b"\x16\x03\x01\x00",
        b"HTTP/1.1 200\x00 OK",
        b"HTTP/1.1 200 O\x00K",
    ]
    bad += [b"HTTP/1.1 200 O" + ctl + b"K" for ctl in _CTL[::4]] + [b"HTTP/1.1 200 O\rK", b"HTTP/1.1 +200 OK"]
    yield from _each(((line, _with(_FIVE, line=line)) for line in bad), Worth.BAD, closes=True)
    loose = [b"HTTP/1.1 200", b"HTTP/1.1  200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.9 200 OK", b"HTTP/1.1 200  OK"]
    yield from _each(((line, _with(_FIVE, line=line)) for line in loose), Worth.GOOD_OR_BAD, reusable=True)
    yield from _each([(n, b"\r\n" * n + OK) for n in (1, 2)], Worth.GOOD_OR_BAD, reusable=True)
    good = [b"HTTP/1.1 200 ", b"HTTP/1.1 200 Everything Is Fine", b"HTTP/1.1 200 \xe9\xff", b"HTTP/1.1 200 a\tb"]
    yield from _each(((line, _with(_FIVE, line=line)) for line in good), Worth.GOOD, reusable=True)
    yield from _each([("1.0", _with(_FIVE, line=b"HTTP/1.0 200 OK"))], Worth.GOOD)
    switch = _with(b"Upgrade: x", b"Connection: upgrade", line=b"HTTP/1.1 101 Switching Protocols", body=b"")
    yield from _each([("a switch that nobody asked for", switch)], Worth.BAD)
    yield from _each([("nothing", b"")], Worth.EMPTY, closes=True)
    short = [b"H", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"]
    yield from _each(((raw, raw) for raw in short), Worth.BAD, closes=True)


def fields() -> Iterator[AnswerCase]:
    for byte, spot in itertools.product((*_CTL, b"\r", b"\n"), ("before", "within", "after")):
        value = {"before": byte + b"a", "within": b"a" + byte + b"b", "after": b"a" + byte}[spot]
        yield from _each([(("value", spot, byte), _with(_FIVE, b"X: " + value))], Worth.BAD, closes=True)
    wrong = [*_CTL[::3], *(bytes([code]) for code in b' \t"(),/;<=>?@[\\]{}'), b"\x80", b"\xff", b"\r", b"\n"]
    for byte, spot in itertools.product(wrong, ("within", "after")):
        name = {"within": b"X" + byte + b"Y", "after": b"X" + byte}[spot]
        yield from _each([(("name", spot, byte), _with(_FIVE, name + b": 1"))], Worth.BAD, closes=True)
    bad = [
        b"X: 1\r\n folded",
        b"X: 1\r\n\tfolded",
        b"X:\r\n folded",
        b" X: 1",
        b"\tX: 1",
        b": 1",
        b"X",
        b"X 1",
        b"=",
        b"X: a\r b",
    ]
    bad += [
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b"Transfer-Encoding : chunked",
        b"X: a\nTransfer-Encoding: chunked",
    ]
    yield from _each(((line, _with(_FIVE, line)) for line in bad), Worth.BAD, closes=True)
    yield from _each(((("first", line), _with(line, _FIVE)) for line in bad), Worth.BAD, closes=True)
    yield from _each([("lf", OK.replace(b"\r\n", b"\n")), ("cr", OK.replace(b"\r\n", b"\r"))], Worth.BAD, closes=True)
    ends = [n for n in range(len(OK)) if OK[n : n + 2] == b"\r\n"]
    for cut, end in itertools.product(ends, (b"\n", b"\r", b"\r\r\n", b"\x00\r\n")):
        yield from _each([((cut, end), OK[:cut] + end + OK[cut + 2 :])], Worth.BAD, closes=True)
    huge = [b"X: " + b"a" * 200_000, b"X" * 200_000 + b": 1", b"\r\n".join([b"X: 1"] * 40_000)]
    yield from _each(((line[:5], _with(_FIVE, line)) for line in huge), Worth.BAD, closes=True)
    yield from _each([("endless", b"HTTP/1.1 200 " + b"a" * 200_000)], Worth.BAD)
    good = [b"!#$%&'*+-.^_`|~: 1", b"X:", b"X:1", b"X: \x80\xff", b'X: "a, b"', b"X: a\tb", b"X: " + b"a" * 5000]
    yield from _each(((line[:20], _with(_FIVE, line)) for line in good), Worth.GOOD, reusable=True)


def framings() -> Iterator[AnswerCase]:
    lengths = [
        b"+5",
        b"-5",
        b"5,5",
        b"5, 5",
        b"5 5",
        b"5;",
        b"5.0",
        b"0x5",
        b"",
        b"a",
        b"5a",
        b"\xb2",
        b"5\x0b",
        b"five",
        b'"5"',
    ]
    lengths += [b"18446744073709551621", b"9" * 40]
    yield from _each((((b"length", v), _with(b"Content-Length: " + v)) for v in lengths), Worth.BAD, closes=True)
    pairs = [(b"5", b"5"), (b"5", b"6"), (b"6", b"5"), (b"0", b"5"), (b"5", b""), (b"5", b"05")]
    for one, two in pairs:
        raw = _with(b"Content-Length: " + one, b"X: 1", b"content-length: " + two)
        yield from _each([((one, two), raw)], Worth.BAD, closes=True)
    codings = [
        b"gzip",
        b"identity",
        b"gzip, chunked",
        b"chunked, gzip",
        b"chunked, chunked",
        b"xchunked",
        b"",
        b"chunked;q=1",
    ]
    codings += [b'"chunked"', b"chunked\x0b", b"\x0bchunked", b"chun ked", b"chunked\x00", b"identity, chunked", b"cow"]
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    raws = ((v, _with(b"Transfer-Encoding: " + v, body=chunks)) for v in codings)
    yield from _each(raws, Worth.BAD, closes=True)
    for value in (*codings, b"chunked", b"CHUNKED"):
        field = b"Transfer-Encoding: " + value
        both = {"before": _with(field, _FIVE, body=chunks), "after": _with(_FIVE, field, body=chunks)}
        yield from _each((((value, spot), raw) for spot, raw in both.items()), Worth.BAD, closes=True)
    yield from _each([("twice", _with(_CHUNKED, b"X: 1", _CHUNKED, body=chunks))], Worth.BAD, closes=True)
    old = _with(_CHUNKED, line=b"HTTP/1.0 200 OK", body=chunks)
    yield from _each([("1.0 chunked", old)], Worth.GOOD_OR_BAD, closes=True)
    yield from _each([("cases", _with(b"transfer-encoding:CHUNKED", body=chunks))], Worth.GOOD, reusable=True)
    yield from _each([("zeros", _with(b"Content-Length: 05"))], Worth.GOOD_OR_BAD, reusable=True)
    yield from _each([("until the end", _with())], Worth.GOOD, closes=True)
    yield from _each([("short", _with(b"Content-Length: 9"))], Worth.BAD_OR_CUT, closes=True)


def chunk_sizes() -> list[bytes]:
    """Bytes that come where a chunk's size should be."""
    bad = [
        b"zz\r\n",
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"\r\n",
    ]
    bad += [
        b"5\nhello\r\n",
        b"5\rhello\r\n",
        b"5\r\nhelloXX",
        b"5\r\nhello\n0\r\n\r\n",
        b"F" * 17 + b"\r\n",
        b"5\x00\r\nhello\r\n",
    ]
    bad += [
        b"0\n\n",
        b"0\r\n\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\nX : 1\r\n\r\n",
        b"0\r\n X: 1\r\n\r\n",
        b"0\r\nX: a\x00\r\n\r\n",
    ]
    return [*bad, b"5;a\n\r\nhello\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\x00", b"1" + b"0" * 17 + b"\r\n"]


def chunks() -> Iterator[AnswerCase]:
    raws = ((bad, _with(_CHUNKED, body=b"2\r\nhe\r\n" + bad)) for bad in chunk_sizes())
    yield from _each(raws, Worth.BAD_OR_CUT, closes=True)
    cut = [
        b"",
        b"5",
        b"5\r\n",
        b"5\r\nhel",
        b"5\r\nhello",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0",
        b"5\r\nhello\r\n0\r\n",
    ]
    yield from _each(((raw, _with(_CHUNKED, body=raw)) for raw in cut), Worth.BAD_OR_CUT, closes=True)
    good = [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"1\r\nh\r\n4\r\nello\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n0;c\r\n\r\n",
        b"005\r\nhello\r\n00\r\n\r\n",
    ]
    good += [b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"]
    yield from _each(((raw, _with(_CHUNKED, b"Trailer: X-Sum", body=raw)) for raw in good), Worth.GOOD, reusable=True)


def extras() -> Iterator[AnswerCase]:
    """Whole answers, with more on the connection than was asked for: it is not to be trusted any more."""
    whole = {
        "a length": OK,
        "chunks": _with(_CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"),
        "an interim one": b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK,
    }
    more = {
        "another answer": OK,
        "garbage": b"garbage",
        "a byte": b"\x00",
        "an interim answer": b"HTTP/1.1 103 x\r\n\r\n",
    }
    more |= {"an empty line": b"\r\n", "a request": b"GET / HTTP/1.1\r\n\r\n"}
    for (name, raw), (then, extra) in itertools.product(whole.items(), more.items()):
        yield from _each([((name, then), raw + extra)], Worth.GOOD)
    bare = b"HTTP/1.1 %s\r\n%s\r\n"
    yield from _each([("204", bare % (b"204 No Content", b"") + b"hello")], Worth.GOOD, status=204, body=b"")
    yield from _each(
        [("304", bare % (b"304 Not Modified", b"Content-Length: 5\r\n") + b"hello")], Worth.GOOD, status=304, body=b""
    )
    yield from _each([("HEAD", OK)], Worth.GOOD, method="HEAD", body=b"")
    wrong = _with(_FIVE, line=b"HTTP/1.1 204 No Content")
    yield from _each([("204 with a length", wrong)], Worth.GOOD_OR_BAD, status=204, body=b"")


def answer_cases() -> list[AnswerCase]:
    return list(itertools.chain(status_lines(), fields(), framings(), chunks(), extras()))
