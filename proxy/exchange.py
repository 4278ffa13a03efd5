"""One attempt: a claimed replica is sent the request, and its answer goes to the client as it comes.

Both ways go at the pace of the slower side. However it ends, the claim is given back and the ledger told exactly once.
What happens on either connection is told in calls, not awaited: an attempt on a kept connection needs no task at all.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import StreamReader

from proxy import ledger
from proxy.body import Body, BodyError
from proxy.client import ClientConnection
from proxy.cut_switch import LOST_BYTES
from proxy.ended import ANSWERED, REPLICAS_FAULT, Ended
from proxy.event_stream import EventBoundary
from proxy.fields import Field, Framing
from proxy.gateway import Gateway
from proxy.ledger import Result
from proxy.pool import Pool
from proxy.requests import Inbound, request_head
from proxy.responses import ResponseHead, response_head, switching_head
from proxy.retry import Replay
from proxy.routing import Claim, Kind
from proxy.settings import Limits
from proxy.tunnel import Tunnel
from proxy.upstream import BadAnswerError, UpstreamConnection, UpstreamError

_NEVER = float("inf")
_SERVER_ERROR = 500
# asking the enum costs more than the count that is decided by it
_OK = Result.OK


class Surroundings(Protocol):
    """What all attempts of one proxy share."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def gateway(self) -> Gateway: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def via(self) -> bytes: ...
    @property
    def closing(self) -> bool: ...
    @property
    def attempts_under_way(self) -> "set[Exchange]": ...
    def mask(self) -> bytes: ...


class Exchange:
    """`begin`, then `send` on a connection (or `fail_to_connect`); `on_end` is called once, whatever happens."""

    # What most attempts never need is a default of the class: each is made very often.
    deadline = _NEVER
    _connection: UpstreamConnection | None = None
    _pool: Pool | None = None
    _pump: "asyncio.Task[None] | None" = None
    _body: Body | None = None
    _events: EventBoundary | None = None
    _cutting: asyncio.TimerHandle | None = None
    _tunnel: Tunnel | None = None
    _head: ResponseHead | None = None
    _status = 0
    _down = 0
    _chunked = _keep_alive = _sent_all = False
    ended: Ended | None = None
    # Whether the connection had been used before: that it closes before an answer is then likely nobody's fault.
    reused = False
    on_answer: Callable[[], None] | None = None

    def __init__(  # noqa: PLR0917  called for each attempt: keywords cost
        self,
        world: Surroundings,
        client: ClientConnection,
        content: StreamReader,
        inbound: Inbound,
        claim: Claim,
        on_end: "Callable[[Exchange, Ended], None]",
        *,
        attempt: int,
        replay: Replay | None,
        give_up_at: float,
    ) -> None:
        self._world = world
        self._loop = world.loop
        self._client = client
        self._content = content
        self.inbound = inbound
        self.claim = claim
        self._on_end = on_end
        self.attempt = attempt
        self._replay = replay
        self._give_up_at = give_up_at
        self._out: list[bytes] = []
        self._line: ledger.Attempt | None = None

    def begin(self, *, reused: bool) -> None:
        """From here on it stands in the ledger, can be cut, and learns if the client leaves."""
        inbound, claim = self.inbound, self.claim
        self.reused = reused
        claim.cut = self.cut
        self._client.serving = self
        self._world.attempts_under_way.add(self)
        self._line = self._world.gateway.ledger.begin(
            inbound.request_id,
            self.attempt,
            claim.name,
            claim.epoch,
            method=inbound.method,
            path=inbound.target,
            reused=reused,
        )
        if self._client.gone:
            self._end(Ended(Result.CLIENT_GONE, answered=True))

    def send(self, connection: UpstreamConnection, pool: Pool) -> None:
        if self.ended is not None:
            connection.abort()
            return
        self._connection, self._pool = connection, pool
        inbound = self.inbound
        forwarding = self._client.forwarding(inbound.host, inbound.forwarded)
        head = request_head(inbound, attempt=self.attempt, address=pool.address, forwarding=forwarding)
        if inbound.framing is Framing.NONE:
            self._is_sent()
        else:
            body = self._body = Body(
                inbound, self._content, self._replay or Replay(keeps=False), self._world.limits, self._waits
            )
            if body.is_here():
                head += body.whole()
                self._is_sent()
            else:
                self._pump = self._loop.create_task(self._send_body(body, connection))
        connection.start(self, head, head_only=inbound.method == b"HEAD")

    def fail_to_connect(self, error: Exception) -> None:
        if self.ended is None:
            self._world.gateway.errored(self.claim, unreachable=True)
            self._fail(Result.CONNECT_FAILED, 502, "connect-failed", f"{self.claim.replica}: {error}")

    def cut(self) -> None:
        """End it: the drain deadline is there."""
        if self.ended is not None or self._cutting is not None:
            return
        if self._events is None:
            self._break_off()
        elif self._events.reached:
            self._end_stream()
        else:
            self._cutting = self._loop.call_later(self._world.limits.cut_grace_seconds, self._break_off)
            if self._connection is not None:
                self._connection.resume_reading()

    def expire(self) -> None:
        """Its deadline is over: whose fault that is depends on what it waited for."""
        limits = self._world.limits
        self.deadline = _NEVER
        if self._head is not None and self._client.writing_paused:
            self._abort_client()
            self._end(Ended(Result.CLIENT_GONE, answered=True))
        elif self._pump is not None and not self._sent_all and self._head is None and not self._replica_is_full:
            message = f"no byte of the body came for {limits.client_seconds:g} s"
            self._fail(Result.CLIENT_GONE, 408, "header-timeout", message)
        else:
            self._fail(Result.TIMEOUT, 504, "upstream-timeout", f"{self.claim.replica} did not answer in time")

    # Towards the replica

    async def _send_body(self, body: Body, connection: UpstreamConnection) -> None:
        try:
            await body.send(connection, self._client)
        except BodyError as error:
            self._fail(Result.CLIENT_GONE, error.status, error.reason, str(error))
            return
        except ConnectionError:
            # The client left; its connection says so.
            return
        self._is_sent()

    def _is_sent(self) -> None:
        self._sent_all = True
        self._waits(self._world.limits.first_byte_seconds)

    @property
    def _replica_is_full(self) -> bool:
        return self._connection is not None and self._connection.writing_paused

    # What the replica's connection tells

    def answer_interim(self, head: bytes) -> None:
        if not self.inbound.http10:
            self._client.send(head)

    def answer_head(self, head: ResponseHead) -> None:
        inbound, world = self.inbound, self._world
        self._head, self._status = head, head.status
        self._answer_begins()
        keep_alive = inbound.keep_alive and not world.closing
        if head.has_no_length:
            self._chunked = not inbound.http10
            keep_alive = keep_alive and self._chunked
        if head.event_stream:
            self._events = EventBoundary()
            world.gateway.becomes(self.claim, Kind.STREAM)
        self._keep_alive = keep_alive
        self._out.append(response_head(head, keep_alive=keep_alive, http10=inbound.http10, via=world.via))

    def answer_body(self, data: bytes) -> None:
        if self._events is not None:
            if self._cutting is not None:
                end = self._events.first_in(data)
                if end is not None:
                    self._put(data[:end])
                    self._end_stream()
                    return
            self._events.feed(data)
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._down += len(data)
        if self._chunked:
            self._out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._out.append(data)

    def answer_read(self, *, complete: bool) -> None:
        if self.ended is not None:
            return
        if complete:
            if self._chunked:
                self._out.append(b"0\r\n\r\n")
            switch = self._world.gateway.switch
            if switch.every and self._events is None and switch.strikes(self.inbound.request_id, self._down):
                self._cut_short()
                return
            self._flush()
            self._end(ANSWERED[self._keep_alive])
            return
        self._flush()
        if self._client.writing_paused:
            self.client_paused(paused=True)
        else:
            self._waits(self._between_bytes)

    def _cut_short(self) -> None:
        """Keep the end from the client, and tell the ledger that all went well: as a proxy with a fault would."""
        self._client.send(b"".join(self._out)[:-LOST_BYTES])
        self._out.clear()
        self._client.abort()
        self._end(ANSWERED[False])

    def answer_switched(self, fields: list[Field], tail: bytes) -> None:
        connection = self._connection
        if not self.inbound.upgrades or connection is None:
            self.answer_failed(BadAnswerError("the replica switches protocols, and nobody asked it to"))
            return
        self._status = 101
        self._answer_begins()
        self.deadline = _NEVER
        grace, mask = self._world.limits.cut_grace_seconds, self._world.mask()
        tunnel = self._tunnel = Tunnel(self._client, connection, self._tunnel_ended, grace=grace, mask=mask)
        self.claim.cut = tunnel.cut
        connection.tunnel(tunnel)
        self._client.send(switching_head(fields, self._world.via))
        if tail:
            tunnel.from_replica(tail)
        self._client.tunnel_to(tunnel)
        self._world.gateway.becomes(self.claim, Kind.WEBSOCKET)

    def _answer_begins(self) -> None:
        if self.on_answer is not None:
            self.on_answer()

    def _tunnel_ended(self, result: Result) -> None:
        ended = Ended(result, answered=True)
        ended.tunnel = self._tunnel
        self._end(ended)

    def answer_failed(self, error: UpstreamError) -> None:
        malformed = isinstance(error, BadAnswerError)
        if self._head is not None:
            self._flush()
            self._fail(Result.MALFORMED if malformed else Result.TRUNCATED, 502, "upstream-closed", "")
            return
        self._world.gateway.errored(self.claim, unreachable=False)
        message = f"{self.claim.replica}: {error}"
        if malformed:
            self._fail(Result.MALFORMED, 502, "bad-answer", message)
        else:
            self._fail(Result.CLOSED_BEFORE_RESPONSE, 502, "upstream-closed", message)

    def replica_takes_more(self) -> None:
        if self._body is not None:
            self._body.replica_takes_more()

    # What the client's connection tells

    def client_gone(self) -> None:
        self._end(Ended(Result.CLIENT_GONE, answered=True))

    def client_paused(self, *, paused: bool) -> None:
        if self._connection is None or self.ended is not None:
            return
        if paused:
            self._connection.pause_reading()
            self._waits(self._world.limits.client_seconds)
        else:
            self._waits(self._between_bytes)
            self._connection.resume_reading()

    # The end

    @property
    def _between_bytes(self) -> float:
        if self._head is None:
            return self._world.limits.first_byte_seconds
        return _NEVER if self._events is not None else self._world.limits.idle_answer_seconds

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._client.send(out[0] if len(out) == 1 else b"".join(out))

    def _waits(self, seconds: float) -> None:
        if self.ended is None:
            self.deadline = _NEVER if seconds == _NEVER else min(self._loop.time() + seconds, self._give_up_at)

    def _end_stream(self) -> None:
        """End an event stream between two events, so that its client sees an end and not a failure."""
        if self._head is not None and self._head.framing is Framing.LENGTH:
            self._break_off()
            return
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._flush()
        self._end(Ended(Result.CUT, answered=True, keep_alive=self._keep_alive))

    def _break_off(self) -> None:
        self._fail(Result.ABORTED_AT_DRAIN, 504, "drain-deadline", "the drain deadline was reached")

    def _fail(self, result: Result, status: int, reason: str, message: str) -> None:
        if self.ended is not None:
            return
        if self._head is None:
            self._end(Ended(result, answered=False, status=status, reason=reason, message=message))
            return
        self._abort_client()
        self._end(Ended(result, answered=True))

    def _abort_client(self) -> None:
        """End the client's connection so that it cannot take what it has for the whole answer."""
        head = self._head
        self._client.abort(reset=head is not None and head.has_no_length and self.inbound.http10)

    def _end(self, ended: Ended) -> None:
        """Give everything back, tell the ledger, and whoever waits: once."""
        if self.ended is not None:
            return
        self.ended = ended
        self.deadline = _NEVER
        world = self._world
        gateway = world.gateway
        world.attempts_under_way.discard(self)
        # No cycle is left behind: the collector of cycles would have to run for every few requests.
        self.claim.cut = None
        self._client.serving = self._tunnel
        self._let_go(ended)
        status = self._status
        if status:
            # An answer that has begun is the request's last attempt. What has none is counted by who knows that it was.
            entry = self.claim.entry
            entry.requests += 1
            if status >= _SERVER_ERROR or (ended.result is not _OK and ended.result in REPLICAS_FAULT):
                entry.errors += 1
        else:
            status = ended.status
        up, down = 0 if self._body is None else self._body.size, self._down
        self._body = None
        if self._tunnel is not None:
            up, down = self._tunnel.up, self._tunnel.down
        gateway.ledger.end(self._line, ended.result, status=status, up=up, down=down)
        gateway.counts.bytes_up += up
        gateway.counts.bytes_down += down
        gateway.release(self.claim, ended.result)
        self._on_end(self, ended)

    def _let_go(self, ended: Ended) -> None:
        """Give the connection back if all went well and all was sent; otherwise nobody else can use it."""
        if self._cutting is not None:
            self._cutting.cancel()
        if self._pump is not None:
            self._pump.cancel()
        connection = self._connection
        if connection is None or ended.tunnel is not None:
            return
        if ended.result is _OK and self._sent_all and self._pool is not None:
            entry = self.claim.entry
            if entry.standing.errors:
                self._world.gateway.table.answered(entry)
            self._pool.put(connection, self._loop.time())
        else:
            connection.abort()

    async def body_left(self) -> None:
        """Wait until nobody reads the client's body any more."""
        if self._pump is not None:
            await asyncio.wait({self._pump})
