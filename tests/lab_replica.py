"""A replica as small as one can be, a process: `python lab_replica.py HOST PORT NAME VERSION`.

Told to end it ends at once, whatever is in flight: only a proxy that has drained it saves the requests.
"""

import asyncio
import os
import signal
import sys

SECONDS_OF_WORK = 0.05
SECONDS_TO_LIVE = 0.5


class Replica:
    def __init__(self, name: str, version: str) -> None:
        self._name = name
        self._ready = "never-ready" not in version
        self._dies = version.endswith("-dies")
        self._lives = SECONDS_TO_LIVE if "dies-after-ready" in version else None
        self._errs = "answers-errors" in version
        self._requests = 0

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
            self._requests += 1
            errs = self._errs and self._requests % 3 == 0
            say("request")
            await asyncio.sleep(SECONDS_OF_WORK)
            if errs:
                status = "500 Internal Server Error"
                say("error")
        elif not self._ready:
            status, body = "503 Service Unavailable", b"not yet"
        elif self._lives is not None:
            asyncio.get_running_loop().call_later(self._lives, os._exit, 3)
            self._lives = None
        head = f"HTTP/1.1 {status}\r\nX-Lab-Replica: {self._name}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    _, its_host, its_port, its_name, its_version = sys.argv
    asyncio.run(Replica(its_name, its_version).run(its_host, int(its_port)))
