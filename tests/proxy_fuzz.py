"""Messages nobody thought of: lawful and malformed ones, broken and mended in places drawn by chance."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from proxy.settings import Limits
from tests.proxy_corpus import CHUNKS, ID, Case, Fate, message
from tests.proxy_corpus_answers import AnswerCase, Worth
from tests.proxy_differential import disagreements, heard_amiss, last_request
from tests.proxy_oracle import Begun, Kind, Liar, Oracle, converse, rotate
from tests.proxy_world import World, world

_CHUNKED = b"Transfer-Encoding: chunked"
BASES = [
    message(line=b"GET /case HTTP/1.1"),
    message(b"Content-Length: 5", body=b"hello"),
    message(_CHUNKED, body=CHUNKS),
    message(_CHUNKED, b"Trailer: X", body=b"5;a=b\r\nhello\r\n3\r\nyou\r\n0\r\nX: 1\r\n\r\n"),
    message(b"Content-Length: 5", body=b"hello") + message(_CHUNKED, body=CHUNKS).replace(ID, ID + b"-next"),
    message(_CHUNKED, body=CHUNKS) + message(b"Content-Length: 5", body=b"hello").replace(ID, ID + b"-next"),
    message(b"Content-Length: 5", _CHUNKED, body=CHUNKS),
    message(b"Connection: keep-alive", b"Content-Length: 5", line=b"POST /case HTTP/1.0", body=b"hello"),
    message(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
    message(line=b"OPTIONS http://lab.test/case HTTP/1.1", host=b"Host: lab.test\r\nMax-Forwards: 3\r\n"),
]
PIECES = [
    *(bytes([code]) for code in b'\r\n\0 \t:,;\x0b\x7f\x80\xff/?#%"05af'),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"\r\n ",
        b"\r\r\n",
        b"0\r\n\r\n",
        b"5\r\n",
        b"chunked",
        b"identity",
        b", ",
        b"FFFFFFFF",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 60\r\n",
        _CHUNKED + b"\r\n",
        b"Host: x\r\n",
    ),
    *(b"Connection: close\r\n", b"Connection: content-length\r\n", b"Upgrade: h2c\r\n", b"X: 1\r\n", b" HTTP/1.1\r\n"),
    b"GET /other HTTP/1.1\r\nHost: lab.test\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
]


ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: 1\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\n" + _CHUNKED + b"\r\nTrailer: X\r\n\r\n5;a=b\r\nhello\r\n3\r\nyou\r\n0\r\nX: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One change, at a place given as a share of the whole."""

    at: float
    kind: str
    piece: bytes
    count: int

    def on(self, raw: bytes) -> bytes:
        here = int(self.at * len(raw))
        if self.kind == "insert":
            return raw[:here] + self.piece + raw[here:]
        if self.kind == "replace":
            return raw[:here] + self.piece + raw[here + self.count :]
        if self.kind == "delete":
            return raw[:here] + raw[here + self.count :]
        start = raw.rfind(b"\r\n", 0, here) + 2 if b"\r\n" in raw[:here] else 0
        end = raw.find(b"\r\n", here) + 2
        line = raw[start:end] if end > start else b""
        return raw[:start] + line + raw[start:] if self.kind == "repeat" else raw[:start] + raw[start + len(line) :]


edits = st.builds(
    Edit,
    at=st.floats(0, 1, exclude_max=True),
    kind=st.sampled_from(["insert", "insert", "insert", "replace", "delete", "repeat", "drop"]),
    piece=st.sampled_from(PIECES) | st.binary(min_size=1, max_size=3),
    count=st.integers(1, 4),
)


@st.composite
def _edited(draw: st.DrawFn, bases: list[bytes]) -> bytes:
    raw = draw(st.sampled_from(bases))
    for edit in draw(st.lists(edits, min_size=1, max_size=4)):
        raw = edit.on(raw)
    return raw


messages = _edited(BASES)
answers = _edited(ANSWERS)


async def try_one(port: int, oracle: Oracle, raw: bytes, id: str, cut: float = 0.0) -> list[str]:
    """Send one message and another after it; say where the client and the upstream do not agree."""
    before = len(oracle.complete)
    whole = raw.replace(ID, id.encode()) + last_request(f"{id}-last")
    at = int(cut * len(whole))
    heard = await converse(port, *(part for part in (whole[:at], whole[at:]) if part))
    case = Case(
        family="fuzz",
        name="",
        raw=raw,
        fate=Fate.EITHER,
        statuses=frozenset({400, 405, 408, 413, 414, 417, 431, 501, 505}),
    )
    found = [*heard_amiss(case, heard, most=10), *oracle.unsound]
    answered = [answer.body.decode() for answer in heard.answers if answer.reason is None]
    arrived = [seen.id for seen in oracle.complete[before:]]
    if answered != arrived:
        found.append(f"answers to {answered}, but {arrived} arrived")
    return found


async def try_answer(port: int, liar: Liar, raw: bytes) -> list[str]:
    """Let an upstream answer like this, and close; say what of it a client could misunderstand."""
    liar.cases = [AnswerCase(name="fuzz", raw=raw, worth=Worth.GOOD_OR_BAD, closes=True)]
    heard = await converse(port, b"GET /0 HTTP/1.1\r\nHost: lab.test\r\nConnection: close\r\n\r\n")
    found = [] if heard.closed else ["the connection was left open"]
    if heard.unsound and not heard.unsound.startswith("cut:"):
        found.append(heard.unsound)
    if len(heard.answers) + bool(heard.unsound) != 1:
        found.append(f"{len(heard.answers)} answers, {heard.unsound}, of {heard.raw[:200]!r}")
    return found + liar.trusted


def in_the_end(oracle: Oracle, begun: Begun) -> list[str]:
    return [each for each in disagreements(oracle, begun) if not each.endswith("smuggled")]


@contextlib.contextmanager
def proxy_to(upstream: Kind, folder: Path, limits: Limits) -> Iterator[tuple[Callable[..., Any], World, Kind]]:
    """Give a function that is not async a proxy, an upstream in its rotation, and what runs a coroutine beside them."""
    with asyncio.Runner() as runner:
        entered = world(folder, limits=limits)
        lab = runner.run(entered.__aenter__())
        try:
            yield runner.run, lab, runner.run(rotate(lab, upstream))
        finally:
            runner.run(entered.__aexit__(None, None, None))
