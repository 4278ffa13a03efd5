"""Answers that go on: event streams and WebSockets. When the replica is told to stop, both end in order, and soon."""

import itertools
from asyncio import sleep
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from sample_app.inputs import BadInputError, Stream
from sample_app.lifecycle import Lifecycle

Seal = Callable[[Any], bytes]
"""Data -> the self-checking body that holds it."""

_LAST_WORDS_SECONDS = 1.0
_CLOSE_SECONDS = 0.5
_MOST_MESSAGE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """`give` writes what stands between the answer's head and its end."""

    response: web.StreamResponse
    give: Callable[[], Awaitable[None]]


async def hand_over(live: Live, request: web.Request, lifecycle: Lifecycle) -> None:
    """Give the whole answer; ConnectionError if the client left, or took nothing while the replica had to stop."""
    async with lifecycle.until_stopping(patience=_LAST_WORDS_SECONDS):
        await live.response.prepare(request)
        if request.transport is not None:
            # to drain is then to wait until the operating system has it all: an end that is still here gets lost
            request.transport.set_write_buffer_limits(high=0)
        await live.give()
        await live.response.write_eof()
        return
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("the client takes nothing")


def event_stream(stream: Stream, seal: Seal, lifecycle: Lifecycle) -> Live:
    response = web.StreamResponse(headers={"Cache-Control": "no-store"})
    response.content_type = "text/event-stream"
    # whether the replica stops at its end, and takes no other request on the connection, the head cannot know yet
    response.force_close()

    async def give() -> None:
        numbers = itertools.count(1) if stream.events is None else range(1, stream.events + 1)
        for number in numbers:
            if number > 1 and not await _goes_on(stream.interval, lifecycle):
                return
            # one write, one chunk: a reader sees whole events only
            await response.write(b"id: %d\ndata: %b\n\n" % (number, seal({"n": number})))

    return Live(response=response, give=give)


async def _goes_on(interval: float, lifecycle: Lifecycle) -> bool:
    """False as soon as the replica is told to stop."""
    async with lifecycle.until_stopping():
        await sleep(interval)
        return True
    return False


def echo(request: web.Request, seal: Seal, lifecycle: Lifecycle) -> Live:
    """BadInputError unless the request asks for a WebSocket."""
    # closes are answered here because aiohttp says 1000 to every code, pings because nothing may be half written when
    # the replica is told to stop
    socket = web.WebSocketResponse(timeout=_CLOSE_SECONDS, autoclose=False, autoping=False, max_msg_size=_MOST_MESSAGE)
    if not socket.can_prepare(request):
        raise BadInputError("needs the handshake of a WebSocket")

    async def give() -> None:
        await socket.send_str(seal({}).decode("ascii"))
        while (message := await _received(socket, lifecycle)) is not None:
            match message.type:
                case WSMsgType.TEXT:
                    await socket.send_str(message.data)
                case WSMsgType.BINARY:
                    await socket.send_bytes(message.data)
                case WSMsgType.PING:
                    await socket.pong(message.data)
                case WSMsgType.PONG:
                    pass
                case WSMsgType.CLOSE:
                    reason = (message.extra or "").encode()
                    return await _close(socket, message.data or WSCloseCode.OK, reason)
                case _:
                    raise ConnectionResetError("the client left without a word, or said what is no WebSocket")
        return await _close(socket, WSCloseCode.GOING_AWAY, b"the replica stops")

    return Live(response=socket, give=give)


async def _received(socket: web.WebSocketResponse, lifecycle: Lifecycle) -> WSMessage | None:
    """None once the replica is told to stop: only here, so that what was received is sent back before."""
    async with lifecycle.until_stopping():
        return await socket.receive()
    return None


async def _close(socket: web.WebSocketResponse, code: int, reason: bytes) -> None:
    await socket.close(code=code, message=reason)
    failed = socket.exception()
    if isinstance(failed, ConnectionError):
        raise failed
