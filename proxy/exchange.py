"""One attempt: a claimed replica is sent the request, and its answer goes to the client as it comes.

Both ways go at the pace of the slower side. However it ends, the claim is given back and the ledger told exactly once.
What happens on either connection is told in calls, not awaited: an attempt on a kept connection needs no task at all.
"""

from collections.abc import Callable

from aiohttp import StreamReader

from proxy.accounts import Accounted, Owner
from proxy.body import Body, BodyError
from proxy.client import ClientConnection
from proxy.cut_switch import LOST_BYTES
from proxy.ended import ANSWERED, Ended
from proxy.event_stream import EventBoundary
from proxy.fields import Field, Framing
from proxy.ledger import Result, named_request
from proxy.pool import Pool
from proxy.requests import Inbound, request_head
from proxy.responses import ResponseHead, response_head, switching_head
from proxy.retry import Replay
from proxy.routing import Claim, Kind
from proxy.surroundings import Surroundings
from proxy.tunnel import Tunnel
from proxy.upstream import BadAnswerError, UpstreamConnection, UpstreamError

_NEVER = float("inf")
_LAST_CHUNK = b"0\r\n\r\n"
# Looking up a member of an enum costs more than most of what is decided by it.
_OK, _NO_BODY = Result.OK, Framing.NONE
_WELL, _WELL_AND_LAST = ANSWERED[True], ANSWERED[False]


class Exchange(Accounted):
    """`begin`, then `send` on a connection (or `fail_to_connect`); its owner is told of its end once, whatever happens.

    Each is made very often: its attributes have slots, and are all there from the start.
    """

    __slots__ = (
        "_chunked",
        "_events",
        "_give_up_at",
        "_head",
        "_keep_alive",
        "_out",
        "content",
        "inbound",
        "on_answer",
        "replay",
        "reused",
        "started",
    )

    def __init__(  # noqa: PLR0917  called for each attempt: keywords cost
        self,
        world: Surroundings,
        owner: Owner,
        client: ClientConnection,
        content: StreamReader,
        inbound: Inbound,
        claim: Claim,
        attempt: int,
        replay: Replay | None,
        started: float,
    ) -> None:
        self.request_id = inbound.request_id
        self.attempt = attempt
        self.begun = b""
        self.run = None
        self._world = world
        self._loop = world.loop
        self._owner = owner
        self.client = client
        self.content = content
        self.inbound = inbound
        self.claim = claim
        self.replay = replay
        # When the request began, and until when it may last.
        self.started = started
        total = world.limits.total_seconds
        self._give_up_at = started + total if total else _NEVER
        self.deadline = _NEVER
        self.ended = None
        # Whether the connection had been used before: that it closes before an answer is then likely nobody's fault.
        self.reused = False
        self.on_answer: Callable[[], None] | None = None
        self._connection = None
        self._pool = None
        self._pump = None
        self._body = None
        self._cutting = None
        self._tunnel = None
        self._events: EventBoundary | None = None
        self._head: ResponseHead | None = None
        self._status = 0
        self._down = 0
        self._chunked = False
        self._keep_alive = False
        self._sent_all = False
        self._out: list[bytes] | None = None

    def begin(self, reused: bool) -> None:
        """From here on it stands in the ledger, can be cut, and learns if the client leaves."""
        inbound, claim, client, world = self.inbound, self.claim, self.client, self._world
        self.reused = reused
        claim.cut = self.cut
        client.serving = self
        world.attempts_under_way.add(self)
        told = inbound.told
        if not told:
            told = inbound.told = named_request(inbound.method, inbound.target)
        world.gateway.ledger.begin(self, claim.replica, claim.epoch, told, reused)
        if client.transport is None:
            self._end(Ended(Result.CLIENT_GONE, answered=True))

    def send(self, connection: UpstreamConnection, pool: Pool, now: float) -> None:
        if self.ended is not None:
            connection.abort()
            return
        self._connection, self._pool = connection, pool
        inbound = self.inbound
        told = inbound.middle and inbound.host
        forwarding = b"" if told else self.client.forwarding(inbound.host, inbound.forwarded)
        head = request_head(inbound, self.attempt, pool.address, forwarding)
        head_only = inbound.method == b"HEAD"
        if inbound.framing is not _NO_BODY:
            body = self._body = Body(
                inbound, self.content, self.replay or Replay(keeps=False), self._world.limits, self._waits
            )
            if not body.is_here():
                connection.start(self, head, head_only=head_only)
                self._pump = self._loop.create_task(self._send_body(body, connection))
                return
            head += body.whole()
        self._sent_all = True
        deadline = now + self._world.limits.first_byte_seconds
        self.deadline = min(self._give_up_at, deadline)
        connection.prepare(self, head, head_only)
        self._world.outbox.add(connection)

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
        if self._head is not None and self.client.stuck:
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
            await body.send(connection, self.client)
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
            self.client.send(head)

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
        self._out = [response_head(head, keep_alive=keep_alive, http10=inbound.http10, via=world.via)]

    def answer_whole(self, head: ResponseHead, body: bytes) -> bool:
        """A head that went to a client before, all of a body of known length after it, and nothing against both."""
        said, inbound, world = head.kept_alive, self.inbound, self._world
        if not said or not inbound.keep_alive or inbound.http10 or world.closing or world.gateway.switch.every:
            return False
        self._head, self._status, self._down = head, head.status, len(body)
        if self.on_answer is not None:
            self.on_answer()
        self.client.send(said + body)
        self._end(_WELL)
        return True

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
        out = self._out = self._out or []
        if self._chunked:
            out += (b"%x\r\n" % len(data), data, b"\r\n")
        else:
            out.append(data)

    def answer_read(self, *, complete: bool) -> None:
        if self.ended is not None:
            return
        if complete:
            if self._chunked:
                self._out = [*(self._out or ()), _LAST_CHUNK]
            switch = self._world.gateway.switch
            if switch.every and self._events is None and switch.strikes(self.inbound.request_id, self._down):
                self._cut_short()
                return
            self._flush()
            self._end(_WELL if self._keep_alive else _WELL_AND_LAST)
            return
        self._flush()
        if self.client.stuck:
            self.client_paused(paused=True)
        else:
            self._waits(self._between_bytes)

    def _cut_short(self) -> None:
        """Keep the end from the client, and tell the ledger that all went well: as a proxy with a fault would."""
        self.client.send(b"".join(self._out or ())[:-LOST_BYTES])
        self._out = None
        self.client.abort()
        self._end(_WELL_AND_LAST)

    def answer_switched(self, fields: list[Field], tail: bytes) -> None:
        connection = self._connection
        if not self.inbound.upgrades or connection is None:
            self.answer_failed(BadAnswerError("the replica switches protocols, and nobody asked it to"))
            return
        self._status = 101
        self._answer_begins()
        self.deadline = _NEVER
        grace, mask = self._world.limits.cut_grace_seconds, self._world.mask()
        tunnel = self._tunnel = Tunnel(self.client, connection, self._tunnel_ended, grace=grace, mask=mask)
        self.claim.cut = tunnel.cut
        connection.tunnel(tunnel)
        self.client.send(switching_head(fields, self._world.via))
        if tail:
            tunnel.from_replica(tail)
        self.client.tunnel_to(tunnel)
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

    @property
    def _between_bytes(self) -> float:
        if self._head is None:
            return self._world.limits.first_byte_seconds
        return _NEVER if self._events is not None else self._world.limits.idle_answer_seconds

    def _flush(self) -> None:
        out = self._out
        if out:
            self._out = None
            self.client.send(out[0] if len(out) == 1 else b"".join(out))

    def _waits(self, seconds: float) -> None:
        if self.ended is None:
            self.deadline = _NEVER if seconds == _NEVER else min(self._loop.time() + seconds, self._give_up_at)

    def _end_stream(self) -> None:
        """End an event stream between two events, so that its client sees an end and not a failure."""
        if self._head is not None and self._head.framing is Framing.LENGTH:
            self._break_off()
            return
        if self._chunked:
            self._out = [*(self._out or ()), _LAST_CHUNK]
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
        self.client.abort(reset=head is not None and head.has_no_length and self.inbound.http10)
