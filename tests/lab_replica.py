"""A replica as small as one can be, a process: `python lab_replica.py HOST PORT NAME VERSION`.

Told to end it ends at once, whatever is in flight: only a proxy that has drained it saves the requests.
"""

import asyncio
import os
import signal
import sys

SECONDS_OF_WORK = 0.05


class Replica:
    def __init__(self, name: str, version: str) -> None:
        self._name = name
        self._ready = "never-ready" not in version
        self._dies = "dies" in version

    async def run(self, host: str, port: int) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, os._exit, 0)
        if self._dies:
            sys.exit("cannot serve: the version is broken")
        server = await asyncio.start_server(self._serve, host, port)
        say("serving")
        await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {key.lower(): value for key, value in (line.split(": ", 1) for line in lines if line)}
        await reader.readexactly(int(fields.get("content-length", 0)))
        status, body = "200 OK", b"hello"
        if first.split(" ")[1] != "/readyz":
            say("request")
            await asyncio.sleep(SECONDS_OF_WORK)
        elif not self._ready:
            status, body = "503 Service Unavailable", b"not yet"
        head = f"HTTP/1.1 {status}\r\nX-Lab-Replica: {self._name}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    _, its_host, its_port, its_name, its_version = sys.argv
    asyncio.run(Replica(its_name, its_version).run(its_host, int(its_port)))
