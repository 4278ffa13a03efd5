"""One attempt: a claimed replica is sent the request, and its answer goes to the client as it comes.

Both ways go at the pace of the slower side. However it ends, the claim is given back and the ledger told exactly once.
What happens on either connection is told in calls, not awaited: the attempt waits for one thing, its end.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from aiohttp import StreamReader
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from proxy.client import ClientConnection
from proxy.event_stream import EventBoundary
from proxy.fields import Field, Framing
from proxy.gateway import Gateway
from proxy.ledger import Result
from proxy.pool import ConnectFailedError
from proxy.requests import Inbound, request_head
from proxy.responses import ResponseHead, response_head, switching_head
from proxy.retry import Replay
from proxy.routing import Claim, Kind
from proxy.settings import Limits
from proxy.tunnel import Tunnel
from proxy.upstream import BadAnswerError, UpstreamConnection, UpstreamError

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NEVER = float("inf")


@dataclass(slots=True, kw_only=True)
class Ended:
    """How an attempt ended. Unless `answered`, the client has seen nothing and gets status and reason."""

    result: Result
    answered: bool
    keep_alive: bool = False
    status: int = 0
    reason: str = ""
    message: str = ""
    tunnel: Tunnel | None = None


class Surroundings(Protocol):
    """What all attempts of one proxy share."""

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
    def __init__(
        self,
        world: Surroundings,
        client: ClientConnection,
        content: StreamReader,
        inbound: Inbound,
        replay: Replay,
        *,
        attempt: int,
        forwarding: bytes,
        give_up_at: float,
    ) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._content = content
        self._inbound = inbound
        self._replay = replay
        self._attempt = attempt
        self._forwarding = forwarding
        self._give_up_at = give_up_at
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._ended: Ended | None = None
        self._claim: Claim | None = None
        self._connection: UpstreamConnection | None = None
        self._pump: asyncio.Task[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._head: ResponseHead | None = None
        self._status: int | None = None
        self._chunked = self._keep_alive = self._sent_all = False
        self._events: EventBoundary | None = None
        self._cutting: asyncio.TimerHandle | None = None
        self._tunnel: Tunnel | None = None
        self._out: list[bytes] = []
        self._up = self._down = 0
        self.deadline = _NEVER

    async def run(self, claim: Claim, *, fresh: bool) -> Ended:
        """Carry it out, on a connection of its own if `fresh`."""
        world, gateway, inbound = self._world, self._world.gateway, self._inbound
        self._claim = claim
        claim.cut = self.cut
        self._client.serving = self
        world.attempts_under_way.add(self)
        try:
            if self._client.gone:
                self._end(Result.CLIENT_GONE)
            else:
                await self._ask(claim, fresh=fresh)
                await self._done
        finally:
            ended = self._ended or Ended(result=Result.CLIENT_GONE, answered=True)
            world.attempts_under_way.discard(self)
            self._client.serving = None
            self._let_go(claim)
            status = self._status or ended.status or None
            gateway.ledger.end(
                inbound.request_id, self._attempt, ended.result, status=status, up=self._up, down=self._down
            )
            gateway.release(claim, ended.result)
            gateway.counts.bytes_up += self._up
            gateway.counts.bytes_down += self._down
        if self._pump is not None:
            # aiohttp reads what is left of the body, and must be the only one to.
            await asyncio.wait({self._pump})
        return ended

    def cut(self) -> None:
        """End it: the drain deadline is there."""
        if self._ended is not None or self._cutting is not None:
            return
        if self._events is None:
            self._fail(Result.ABORTED_AT_DRAIN, 504, "drain-deadline", "the drain deadline was reached")
        elif self._events.reached:
            self._end_stream()
        else:
            self._cutting = self._loop.call_later(self._world.limits.cut_grace_seconds, self._break_off)
            if self._connection is not None:
                self._connection.resume_reading()

    def expire(self) -> None:
        """Its deadline is over: whose fault that is depends on what it waited for."""
        limits, replica = self._world.limits, self._claim.replica if self._claim else ""
        self.deadline = _NEVER
        if self._head is not None and self._client.writing_paused:
            self._abort_client()
            self._end(Result.CLIENT_GONE)
        elif self._pump is not None and not self._sent_all and self._head is None and not self._replica_is_full:
            message = f"no byte of the body came for {limits.client_seconds:g} s"
            self._fail(Result.CLIENT_GONE, 408, "header-timeout", message)
        else:
            self._fail(Result.TIMEOUT, 504, "upstream-timeout", f"{replica} did not answer in time")

    # Towards the replica

    async def _ask(self, claim: Claim, *, fresh: bool) -> None:
        gateway, inbound, limits = self._world.gateway, self._inbound, self._world.limits
        pool = gateway.pools[claim.replica]
        connection = None if fresh else pool.take(self._loop.time())
        gateway.ledger.begin(
            inbound.request_id,
            self._attempt,
            replica=claim.replica,
            epoch=claim.epoch,
            method=inbound.method,
            path=inbound.target,
            reused=connection is not None,
        )
        if connection is None:
            gateway.counts.connected += 1
            try:
                connection = await pool.connect(limits.connect_seconds)
            except ConnectFailedError as error:
                gateway.errored(claim, unreachable=True)
                self._fail(Result.CONNECT_FAILED, 502, "connect-failed", f"{claim.replica}: {error}")
                return
            if self._ended is not None:
                connection.abort()
                return
        else:
            gateway.counts.reused += 1
        self._connection = connection
        head = request_head(inbound, attempt=self._attempt, address=pool.address, forwarding=self._forwarding)
        self._start(connection, head)

    def _start(self, connection: UpstreamConnection, head: bytes) -> None:
        inbound, content = self._inbound, self._content
        head_only = inbound.method == b"HEAD"
        if inbound.framing is Framing.NONE:
            self._sent_all = True
            self._waits(self._world.limits.first_byte_seconds)
            connection.start(self, head, head_only=head_only)
        elif content.is_eof() and content.exception() is None and not self._replay.sent and not self._is_too_large():
            # All of the body is here already: it goes with the head.
            connection.start(self, head + self._framed(content.read_nowait()), head_only=head_only)
            self._sent_all = True
            self._waits(self._world.limits.first_byte_seconds)
        else:
            connection.start(self, head, head_only=head_only)
            if inbound.expects_continue and not self._replay.continued:
                self._replay.continued = True
                self._client.send(_CONTINUE)
            self._pump = self._loop.create_task(self._send_body(connection))

    def _is_too_large(self) -> bool:
        return 0 < self._world.limits.body_bytes < self._content.total_bytes

    def _framed(self, data: bytes) -> bytes:
        """Return a whole body as the replica gets it."""
        self._up = len(data)
        self._replay.note(data)
        if self._inbound.framing is Framing.LENGTH:
            return data
        return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"

    async def _send_body(self, connection: UpstreamConnection) -> None:
        chunked = self._inbound.framing is Framing.CHUNKED
        try:
            for data in list(self._replay.sent):
                await self._send_piece(connection, data, chunked=chunked)
            while data := await self._read_client():
                self._replay.note(data)
                await self._send_piece(connection, data, chunked=chunked)
        except (RequestPayloadError, HttpProcessingError) as error:
            self._fail(Result.CLIENT_GONE, 400, "bad-request", f"the body is malformed: {error}")
            return
        except ConnectionError:
            # The client left; its connection says so.
            return
        if chunked:
            connection.write(b"0\r\n\r\n")
        self._sent_all = True
        self._waits(self._world.limits.first_byte_seconds)

    async def _read_client(self) -> bytes:
        self._waits(self._world.limits.client_seconds)
        return await self._content.readany()

    async def _send_piece(self, connection: UpstreamConnection, data: bytes, *, chunked: bool) -> None:
        self._up += len(data)
        most = self._world.limits.body_bytes
        if most and self._up > most:
            self._fail(Result.CLIENT_GONE, 413, "body-too-large", f"the body is larger than {most} bytes")
            return
        connection.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        while connection.writing_paused and self._ended is None:
            self._waits(self._world.limits.first_byte_seconds)
            self._writable = self._loop.create_future()
            await self._writable

    @property
    def _replica_is_full(self) -> bool:
        return self._connection is not None and self._connection.writing_paused

    # What the replica's connection tells

    def answer_interim(self, head: bytes) -> None:
        if not self._inbound.http10:
            self._client.send(head)

    def answer_head(self, head: ResponseHead) -> None:
        http10 = self._inbound.http10
        self._head, self._status = head, head.status
        by_close = http10 and head.framing in {Framing.CHUNKED, Framing.CLOSE}
        self._chunked = not http10 and head.framing in {Framing.CHUNKED, Framing.CLOSE}
        self._keep_alive = self._inbound.keep_alive and not by_close and not self._world.closing
        if head.event_stream and head.framing is not Framing.NONE and self._claim is not None:
            self._events = EventBoundary()
            self._world.gateway.becomes(self._claim, Kind.STREAM)
        self._out.append(response_head(head, keep_alive=self._keep_alive, http10=http10, via=self._world.via))

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
        if self._ended is not None:
            return
        if complete and self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._flush()
        if complete:
            self._end(Result.OK, keep_alive=self._keep_alive)
        elif self._client.writing_paused:
            self.client_paused(paused=True)
        else:
            self._waits(_NEVER if self._events is not None else self._world.limits.idle_answer_seconds)

    def answer_switched(self, fields: list[Field], tail: bytes) -> None:
        claim, connection = self._claim, self._connection
        if not self._inbound.upgrades or claim is None or connection is None:
            self.answer_failed(BadAnswerError("the replica switches protocols, and nobody asked it to"))
            return
        self._status = 101
        self.deadline = _NEVER
        tunnel = Tunnel(
            self._client,
            connection,
            self._tunnel_ended,
            grace=self._world.limits.cut_grace_seconds,
            mask=self._world.mask(),
        )
        self._tunnel = tunnel
        claim.cut = tunnel.cut
        connection.tunnel(tunnel)
        self._client.send(switching_head(fields, self._world.via))
        if tail:
            tunnel.from_replica(tail)
        self._client.tunnel_to(tunnel)
        self._world.gateway.becomes(claim, Kind.WEBSOCKET)

    def _tunnel_ended(self, result: Result) -> None:
        if self._tunnel is not None:
            self._up, self._down = self._tunnel.up, self._tunnel.down
        self._set(Ended(result=result, answered=True, tunnel=self._tunnel))

    def answer_failed(self, error: UpstreamError) -> None:
        replica = self._claim.replica if self._claim else ""
        malformed = isinstance(error, BadAnswerError)
        if self._head is not None:
            self._flush()
            self._fail(Result.MALFORMED if malformed else Result.TRUNCATED, 502, "upstream-closed", "")
            return
        if self._claim is not None:
            self._world.gateway.errored(self._claim, unreachable=False)
        if malformed:
            self._fail(Result.MALFORMED, 502, "bad-answer", f"{replica}: {error}")
        else:
            self._fail(Result.CLOSED_BEFORE_RESPONSE, 502, "upstream-closed", f"{replica}: {error}")

    def replica_takes_more(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # What the client's connection tells

    def client_gone(self) -> None:
        self._end(Result.CLIENT_GONE)

    def client_paused(self, *, paused: bool) -> None:
        if self._connection is None or self._ended is not None:
            return
        if paused:
            self._connection.pause_reading()
            self._waits(self._world.limits.client_seconds)
        else:
            self._waits(_NEVER if self._events is not None else self._world.limits.idle_answer_seconds)
            self._connection.resume_reading()

    # The end

    def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._client.send(out[0] if len(out) == 1 else b"".join(out))

    def _waits(self, seconds: float) -> None:
        self.deadline = _NEVER if seconds == _NEVER else min(self._loop.time() + seconds, self._give_up_at)

    def _end_stream(self) -> None:
        """End an event stream between two events, so that its client sees an end and not a failure."""
        if self._head is not None and self._head.framing is Framing.LENGTH:
            self._break_off()
            return
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._flush()
        self._end(Result.CUT, keep_alive=self._keep_alive)

    def _break_off(self) -> None:
        self._fail(Result.ABORTED_AT_DRAIN, 504, "drain-deadline", "the drain deadline was reached")

    def _fail(self, result: Result, status: int, reason: str, message: str) -> None:
        if self._ended is not None:
            return
        if self._head is None:
            self._set(Ended(result=result, answered=False, status=status, reason=reason, message=message))
            return
        self._abort_client()
        self._end(result)

    def _abort_client(self) -> None:
        """End the client's connection so that it cannot take what it has for the whole answer."""
        by_close = self._head is not None and self._inbound.http10 and self._head.framing is not Framing.LENGTH
        self._client.abort(reset=by_close)

    def _end(self, result: Result, *, keep_alive: bool = False) -> None:
        self._set(Ended(result=result, answered=True, keep_alive=keep_alive))

    def _set(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
            self.deadline = _NEVER
            if not self._done.done():
                self._done.set_result(None)

    def _let_go(self, claim: Claim) -> None:
        """Give the connection back if all went well and all was sent; otherwise nobody else can use it."""
        if self._cutting is not None:
            self._cutting.cancel()
        if self._pump is not None:
            self._pump.cancel()
        connection, ended = self._connection, self._ended
        if connection is None:
            return
        if ended is not None and ended.tunnel is not None:
            return
        pool = self._world.gateway.pools.get(claim.replica)
        if pool is not None and self._sent_all and ended is not None and ended.result is Result.OK:
            self._world.gateway.answered(claim)
            pool.put(connection, self._loop.time())
        else:
            connection.abort()
