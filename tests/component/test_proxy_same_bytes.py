"""What came before, byte for byte, is not parsed again: nobody must ever see that, however the bytes are cut."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.client import ClientConnection
from proxy.fields import Field
from proxy.requests import Inbound, RequestReader, request_head
from proxy.responses import ResponseHead
from proxy.settings import Limits
from proxy.upstream import UpstreamConnection, UpstreamError

ASKED = b"GET /a HTTP/1.1\r\nHost: lab.test\r\n\r\n"
OTHER = b"GET /b HTTP/1.1\r\nHost: lab.test\r\n\r\n"
OPEN_FIELD = b"GET /c HTTP/1.1\r\nHost: lab.test\r\nX: "
BODY_TO_COME = b"POST /d HTTP/1.1\r\nHost: lab.test\r\nContent-Length: %d\r\n\r\n" % len(ASKED)
CHUNKED = b"POST /e HTTP/1.1\r\nHost: lab.test\r\nTransfer-Encoding: chunked\r\n\r\n"
WITH_ID = b"GET /a HTTP/1.1\r\nHost: lab.test\r\nX-Lab-Request-Id: r-1\r\n\r\n"
OTHER_ID = WITH_ID.replace(b"r-1", b"r-2")
NOT_PLAIN = b"GET /f HTTP/1.1\r\nHost: lab.test\r\nMax-Forwards: 0\r\n\r\n"
REFUSED = b"GET /g HTTP/1.1\r\nHost: lab.test\r\nExpect: more\r\n\r\n"
PIECES = (
    *(ASKED, OTHER, ASKED + ASKED, ASKED[:9], ASKED[9:], WITH_ID, OTHER_ID, NOT_PLAIN, REFUSED),
    *(OPEN_FIELD, BODY_TO_COME, CHUNKED, b"0\r\n\r\n", b"\r\n"),
)

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
ANSWERS = (
    ANSWER + b"four",
    ANSWER + b"4444",
    ANSWER,
    b"four",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfour",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" + ANSWER + b"four",
    b"HTTP/1.1 103 Early Hints\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: ",
    ANSWER + b"four\r\n",
    ANSWER + b"fourHTTP",
)


class Transport(asyncio.Transport):
    """Takes everything and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("192.0.2.1", 1) if name == "peername" else default

    def write(self, data: Any) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    abort = close


class Owner:
    """Keeps what it is asked to serve, and lets each request wait until it is told to answer it."""

    limits = Limits()
    pseudonym = b"lab"

    def __init__(self) -> None:
        self.told: list[object] = []
        self._reader = RequestReader(
            request_line=8190,
            header_bytes=32768,
            header_count=100,
            body_bytes=0,
            pseudonym=b"lab",
            new_id=lambda: b"new",
        )

    def trusts(self, _address: str) -> bool:
        return False

    def connected(self, _connection: ClientConnection) -> bool:
        return True

    def disconnected(self, _connection: ClientConnection) -> None: ...

    def begin(self, connection: ClientConnection, message: RawRequestMessage, content: StreamReader) -> None:
        """Read it as the data plane does."""
        self.told.append((message.method, message.path, message.raw_headers, content.is_eof()))
        last, connection.last = connection.last, None
        _, found = self._reader.read(
            message.method.encode(),
            message.path.encode(),
            message.raw_headers,
            not message.should_close,
            message.version,
            message.upgrade,
            last,
        )
        if isinstance(found, Inbound):
            connection.last = found if found.fields else None
            self._tell(connection, found)

    def begin_again(self, connection: ClientConnection, inbound: Inbound) -> None:
        self.told.append((inbound.method.decode(), inbound.target.decode(), inbound.fields, True))
        inbound.request_id = b"new"
        self._tell(connection, inbound)

    def _tell(self, connection: ClientConnection, inbound: Inbound) -> None:
        forwarding = b"" if inbound.middle else connection.forwarding(inbound.host, inbound.forwarded)
        self.told.append((request_head(inbound, 1, b"h:1", forwarding), inbound.keep_alive, inbound.may_repeat))

    def refuse(self, _connection: ClientConnection, status: int, reason: str, _message: str) -> None:
        self.told.append((status, reason))


class Forgetful(ClientConnection):
    def _remember(self, *_what: object) -> None: ...


class ForgetfulUpstream(UpstreamConnection):
    def _remember(self, *_what: object) -> None: ...


def heard(kind: type[ClientConnection], pieces: Sequence[tuple[bytes, bool]]) -> list[object]:
    """Give a connection the pieces; after one marked so, the request under way is answered."""

    async def talk() -> list[object]:
        loop = asyncio.get_running_loop()
        owner = Owner()
        connection = kind(owner, web.Server(cast("Any", None)), loop)
        connection.connection_made(Transport())
        for data, answer in pieces:
            connection.data_received(data)
            owner.told.append(("busy", connection.busy))
            if answer and connection.busy:
                connection.finished(keep_alive=True, now=0.0)
                for _ in range(3):  # a body that is left is read away in a task
                    await asyncio.sleep(0)
        connection.connection_lost(None)
        await asyncio.sleep(0)
        return owner.told

    return asyncio.run(talk())


class Receiver:
    """`takes_whole`: it takes an answer in one call."""

    def __init__(self, *, takes_whole: bool = False) -> None:
        self.told: list[object] = []
        self._takes_whole = takes_whole

    def answer_whole(self, head: ResponseHead, body: bytes) -> bool:
        if self._takes_whole:
            self.answer_head(head)
            if body:
                self.answer_body(body)
            self.answer_read(complete=True)
        return self._takes_whole

    def answer_interim(self, head: bytes) -> None:
        self.told.append(head)

    def answer_head(self, head: ResponseHead) -> None:
        self.told.append((head.status, head.fields, head.onward, head.framing))

    def answer_body(self, data: bytes) -> None:
        self.told.append(bytes(data))

    def answer_read(self, *, complete: bool) -> None:
        self.told.append(complete)

    def answer_switched(self, fields: list[Field], tail: bytes) -> None:
        self.told.append((fields, tail))

    def answer_failed(self, error: UpstreamError) -> None:
        self.told.append(str(error))

    def replica_takes_more(self) -> None: ...


def answered(
    kind: type[UpstreamConnection], exchanges: Sequence[Sequence[bytes]], *, takes_whole: bool = False
) -> list[object]:
    """Ask as often as there are exchanges, as long as the connection may be used again."""
    receiver = Receiver(takes_whole=takes_whole)
    connection = kind(lambda _made: None, lambda _lost: None)
    connection.connection_made(Transport())
    for pieces in exchanges:
        connection.start(receiver, ASKED, head_only=False)
        for data in pieces:
            connection.data_received(data)
        receiver.told.append(("reusable", connection.is_reusable()))
        if not connection.is_reusable():
            break
        connection.rest()
    return receiver.told


# How long it takes is the machine's to say.
@given(st.lists(st.tuples(st.sampled_from(PIECES), st.booleans()), max_size=8))
@example([(ASKED, True), (ASKED, True), (ASKED, True)])
@example([(ASKED, True), (OPEN_FIELD, True), (ASKED, True)])
@example([(ASKED, False), (OPEN_FIELD, True), (ASKED, True)])
@example([(ASKED, True), (BODY_TO_COME, False), (ASKED, True)])
@example([(ASKED, True), (NOT_PLAIN, True), (NOT_PLAIN, True)])
@example([(ASKED, True), (REFUSED, True), (REFUSED, True)])
@example([(ASKED, True), (OTHER[:9], True), (OTHER[9:], True), (ASKED, True)])
@example([(WITH_ID, True), (OTHER_ID, True), (WITH_ID, True)])
@example([(ASKED, True), (ASKED[:9], True), (ASKED, True)])
def test_a_request_asked_in_the_same_bytes_is_heard_as_if_it_were_parsed(pieces: list[tuple[bytes, bool]]) -> None:
    assert heard(ClientConnection, pieces) == heard(Forgetful, pieces)


@given(st.lists(st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3), max_size=6))
@example([[ANSWER + b"four"]] * 4)
@example([[ANSWER + b"four"]] * 3 + [[ANSWER, b"four"]])
@example([[ANSWER + b"four"]] * 3 + [[b"HTTP/1.1 103 Early Hints\r\n\r\n", ANSWER + b"four"]])
@example([[ANSWER + b"four"]] * 3 + [[b"HTTP/1.1 200 OK\r\nX: ", ANSWER + b"four"]])
def test_an_answer_in_the_same_bytes_is_told_as_if_it_were_parsed(exchanges: list[list[bytes]]) -> None:
    parsed = answered(ForgetfulUpstream, exchanges)
    assert answered(UpstreamConnection, exchanges) == parsed
    assert answered(UpstreamConnection, exchanges, takes_whole=True) == parsed


def test_the_same_bytes_are_really_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    real = web.RequestHandler.data_received
    monkeypatch.setattr(
        web.RequestHandler, "data_received", lambda self, data: (parsed.append(data), real(self, data))[1]
    )

    told = heard(ClientConnection, [(ASKED, True)] * 5)

    assert len(parsed) == 1
    assert len([each for each in told if each[0] == "GET"]) == 5  # type: ignore[index]


def test_a_request_without_a_body_is_known_by_its_empty_content() -> None:
    """What is repeated is recognised by that, and aiohttp does not promise it."""
    contents: list[StreamReader] = []

    class Keeping(Owner):
        def begin(self, _connection: ClientConnection, _message: RawRequestMessage, content: StreamReader) -> None:
            contents.append(content)

    async def talk() -> None:
        connection = ClientConnection(Keeping(), web.Server(cast("Any", None)), asyncio.get_running_loop())
        connection.connection_made(Transport())
        connection.data_received(ASKED)
        connection.connection_lost(None)

    asyncio.run(talk())

    assert contents == [EMPTY_PAYLOAD]
