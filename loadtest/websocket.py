"""A WebSocket: a greeting that checks itself, then every message comes back as it was sent, then an orderly close."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import gevent
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from loadtest.connections import Connection
from loadtest.envelope import Envelope, unseal
from loadtest.live import There, Told
from loadtest.messages import Broken, Reply
from loadtest.oracle import Expected, names_differ, refused_by_status, verdict
from loadtest.outcomes import Flaw, Framing, Kind, Outcome, Phase, contract, flaw_of_close, truncated
from loadtest.sender import Offered, Sender, anything
from loadtest.transport import Exchange, hand_over

_BLOCK = 65536
_SWITCHING = 101
_GOING_AWAY, _DONE = 1001, 1000
_SERVERS_FAULT = 1011


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket:
    messages: int
    pause_s: float = 0.2
    path: str = "/ws"

    def run(self, sender: Sender, offered: Offered, there: There) -> Told:
        talk = _Talk(offered.id, sender.transport.host, self, there)
        transport = sender.transport

        def work() -> Flaw | None:
            connection = talk.exchange.on(transport.connections.take(fresh=True))
            try:
                return talk.over(connection)
            finally:
                connection.close()

        flaw = transport.guard(talk.exchange, sender.until(offered), work)
        judgement = verdict(talk.reply(flaw), flaw, size=talk.size)
        if flaw is not None and flaw.kind is Kind.CUT:
            # with nothing left to say there is still an orderly close to be had
            rest = WebSocket(messages=self.messages - talk.echoed, pause_s=self.pause_s, path=self.path)
            return Told(judgement=judgement, events=talk.echoed, cut_at=time.monotonic_ns(), rest=rest)
        return Told(judgement=judgement, events=talk.echoed)


@dataclass(slots=True)
class _Talk:
    """One conversation. Its methods return what is wrong, or None."""

    request_id: str
    host: str
    plan: WebSocket
    there: There
    exchange: Exchange = field(default_factory=Exchange)
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    echoed: int = 0
    size: int = 0
    _protocol: WSConnection = field(default_factory=lambda: WSConnection(ConnectionType.CLIENT))
    _events: deque[Event] = field(default_factory=deque)

    def reply(self, flaw: Flaw | None) -> Reply | Broken:
        if flaw is None:
            return Reply(status=_SWITCHING, headers=self.headers, body=b"", trace=self.exchange.trace)
        return Broken(flaw=flaw, status=self.status, headers=self.headers, trace=self.exchange.trace)

    def over(self, connection: Connection) -> Flaw | None:
        try:
            return self._opened(connection) or self._greeted(connection) or self._echoes(connection)
        except (RemoteProtocolError, LocalProtocolError) as error:
            kind = Kind.NOT_HTTP if self.status is None else Kind.WRONG_BODY
            return contract(kind, f"{self.exchange.phase}: this is no WebSocket: {error}")

    def _opened(self, connection: Connection) -> Flaw | None:
        names = {"X-Lab-Request-Id": self.request_id}
        headers = [(name.encode(), value.encode()) for name, value in names.items()]
        request = Request(host=self.host, target=self.plan.path, extra_headers=headers)
        hand_over(self.exchange, connection, self._protocol.send(request))
        answer = self._next(connection)
        if isinstance(answer, Flaw):
            return answer
        self.exchange.phase, self.exchange.framing = Phase.BODY, Framing.WEBSOCKET
        if isinstance(answer, AcceptConnection):
            self.status, self.headers = _SWITCHING, _names(answer.extra_headers)
            return None
        if isinstance(answer, RejectConnection):
            self.status, self.headers = answer.status_code, _names(answer.headers)
            return self._refused(answer.status_code)
        return contract(Kind.NOT_HTTP, f"a WebSocket's handshake was answered with {answer}")

    def _refused(self, status: int) -> Flaw:
        reply = Reply(status=status, headers=self.headers, body=b"")
        expected = Expected(request_id=self.request_id, statuses=frozenset({_SWITCHING}), check=anything)
        return refused_by_status(reply, expected) or contract(Kind.WRONG_STATUS, f"status {status}")

    def _greeted(self, connection: Connection) -> Flaw | None:
        said = self._text(connection)
        if isinstance(said, Flaw):
            return said
        self.there(time.monotonic_ns())
        greeting = unseal(said.encode(), request_id=self.request_id)
        if isinstance(greeting, Envelope):
            return names_differ(self.reply(None), greeting)
        return contract(greeting.kind, f"the greeting: {greeting.detail}")

    def _echoes(self, connection: Connection) -> Flaw | None:
        for number in range(1, self.plan.messages + 1):
            problem = self._quiet(connection, self.plan.pause_s) or self._echo(
                connection, f"{self.request_id} {number}"
            )
            if problem is not None:
                return problem
            self.echoed = number
        return self._closed(connection)

    def _quiet(self, connection: Connection, seconds: float) -> Flaw | None:
        """Nothing is to come but a close, and that is to be heard when it comes."""
        pause = gevent.Timeout(seconds)
        try:
            with pause:
                said = self._text(connection)
        except gevent.Timeout as over:
            if over is not pause:
                raise
            return None
        return said if isinstance(said, Flaw) else contract(Kind.WRONG_CONTENT, f"it says {said[:40]!r} unasked")

    def _echo(self, connection: Connection, text: str) -> Flaw | None:
        hand_over(self.exchange, connection, self._protocol.send(TextMessage(data=text)))
        self.exchange.phase = Phase.BODY
        back = self._text(connection)
        if isinstance(back, Flaw):
            return back
        return None if back == text else contract(Kind.WRONG_CONTENT, f"{text!r} came back as {back[:80]!r}")

    def _closed(self, connection: Connection) -> Flaw | None:
        hand_over(self.exchange, connection, self._protocol.send(CloseConnection(code=_DONE)))
        self.exchange.phase = Phase.BODY
        while True:
            event = self._next(connection)
            if isinstance(event, CloseConnection):
                return None  # with whichever code: the replica may have begun to stop in the same moment
            if isinstance(event, Flaw):
                return event

    def _text(self, connection: Connection) -> str | Flaw:
        """The next whole message."""
        parts: list[str] = []
        while True:
            event = self._next(connection)
            if isinstance(event, Flaw):
                return event
            if isinstance(event, CloseConnection):
                return self._close_taken(connection, event)
            if isinstance(event, Ping):
                hand_over(self.exchange, connection, self._protocol.send(event.response()))
                self.exchange.phase = Phase.BODY
            elif isinstance(event, BytesMessage):
                return contract(Kind.WRONG_CONTENT, "a text was sent, and bytes came")
            elif isinstance(event, TextMessage):
                parts.append(event.data)
                if event.message_finished:
                    return "".join(parts)

    def _close_taken(self, connection: Connection, close: CloseConnection) -> Flaw:
        detail = f"closed with {close.code} after {self.echoed} of {self.plan.messages} messages"
        hand_over(self.exchange, connection, self._protocol.send(close.response()))
        self.exchange.phase = Phase.BODY
        if close.code == _GOING_AWAY:
            return truncated(Kind.CUT, detail)
        outcome = Outcome.SERVER_ERROR if close.code == _SERVERS_FAULT else Outcome.CONTRACT
        return Flaw(outcome=outcome, kind=Kind.WRONG_CLOSE, detail=detail)

    def _next(self, connection: Connection) -> Event | Flaw:
        while not self._events:
            data = connection.socket.recv(_BLOCK)
            if not data:
                return flaw_of_close(self.exchange.phase, self.exchange.framing)
            self.exchange.byte_came()
            self.size += len(data)
            self._protocol.receive_data(data)
            self._events.extend(event for event in self._protocol.events() if not isinstance(event, RejectData))
        return self._events.popleft()


def _names(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
