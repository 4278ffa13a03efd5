"""Messages nobody thought of: lawful and malformed ones, broken and mended in places drawn by chance."""

from dataclasses import dataclass

from hypothesis import strategies as st

from tests.proxy_corpus import CHUNKS, ID, Case, Fate, message
from tests.proxy_differential import disagreements, heard_amiss, last_request
from tests.proxy_oracle import Begun, Oracle, converse

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
def messages(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(BASES))
    for edit in draw(st.lists(edits, min_size=1, max_size=4)):
        raw = edit.on(raw)
    return raw


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


def in_the_end(oracle: Oracle, begun: Begun) -> list[str]:
    return [each for each in disagreements(oracle, begun) if not each.endswith("smuggled")]
