"""A request leaves nothing behind that only the collector of cycles would find: that stops all others meanwhile."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest

from tests.proxy_world import Received, connected, get, read_answer, read_body, world

TIMES = 50
BODY = b"x" * 16_384
POST = b"POST / HTTP/1.1\r\nHost: lab.test\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


async def _ok(request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_body(reader, request.headers)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.parametrize("request_bytes", [get(), POST], ids=["GET", "POST with a body"])
async def test_a_request_that_is_over_is_gone_without_the_collector(tmp_path: Path, request_bytes: bytes) -> None:
    async with world(tmp_path) as lab:
        await lab.serve("app-1.1", _ok)
        async with connected(lab.port) as (reader, writer):

            async def ask(times: int) -> None:
                for _ in range(times):
                    writer.write(request_bytes)
                    assert (await read_answer(reader)).status == 200

            await ask(5)
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                await ask(TIMES)
                gc.collect()
                left = Counter(type(each).__qualname__ for each in gc.garbage if type(each).__module__[:6] == "proxy.")
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
    assert not [name for name, many in left.items() if many >= TIMES], left
