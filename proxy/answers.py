"""Answers on the client's side: those the proxy makes itself, and the mark for one already written by hand."""

import json
import socket
import struct
from http import HTTPStatus

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from proxy.headers import REQUEST_ID


class Written(web.StreamResponse):
    """Tells aiohttp that the answer's bytes are on the connection already, and whether it goes on after them."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._goes_on = keep_alive

    @property
    def keep_alive(self) -> bool:
        return self._goes_on

    async def prepare(self, _request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, _data: bytes = b"") -> None:
        return


def proxy_made(
    status: int, reason: str, message: str, request_id: bytes, *, keep_alive: bool, head_only: bool
) -> bytes:
    body = json.dumps({"error": {"code": reason, "message": message}}).encode() + b"\n"
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode(),
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b"X-Lab-Proxy: " + reason.encode(),
        REQUEST_ID + b": " + request_id,
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append(b"Retry-After: 1")
    if not keep_alive:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head_only else body)


def abort(request: web.BaseRequest, *, reset: bool) -> None:
    """End the client's connection so that it cannot take what it has for the whole answer.

    A body that ends with its connection looks whole after an orderly end: only a reset tells.
    """
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if reset and sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
