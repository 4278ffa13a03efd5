"""Replicas that fail a request in a known way, and the ledger's attempts at each: for tests of what is tried again."""

import asyncio
from typing import Any

from tests.proxy_world import Received, Replica, Responder, World, read_body, send

SAFE = ["GET", "HEAD", "OPTIONS"]
UNSAFE = ["POST", "PATCH", "PUT", "DELETE"]
# probes so rare that only the requests themselves find out what is wrong
RARELY = {"interval_ms": 600_000}


def request(method: str = "GET", body: bytes | None = None, *extra: str) -> bytes:
    """Return a request with that body; without one there is no Content-Length either."""
    fields = ["Host: lab.test", *extra] + ([] if body is None else [f"Content-Length: {len(body)}"])
    return "\r\n".join([f"{method} /short HTTP/1.1", *fields, "", ""]).encode() + (body or b"")


async def ask(lab: World, method: str = "GET", body: bytes | None = None, *extra: str) -> tuple[int, str | None]:
    answer = await send(lab.port, request(method, body, *extra), head_only=method == "HEAD")
    return answer.status, answer.headers.get("x-lab-proxy")


async def hello(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    received.body = await read_body(reader, received.headers)
    size = b"Content-Length: 5\r\n\r\n"
    writer.write(b"HTTP/1.1 200 OK\r\n" + size + (b"" if received.method == "HEAD" else b"hello"))


async def closes(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a whole request, and be gone without a word."""
    received.body = await read_body(reader, received.headers)
    raise ConnectionResetError


def first_attempt(responder: Responder) -> Responder:
    """Do that to a first attempt, and answer every other."""

    async def respond(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (responder if received.one("X-Lab-Attempt") == "1" else hello)(received, reader, writer)

    return respond


async def in_rotation(lab: World, name: str, respond: Responder) -> Replica:
    replica = await lab.replica(name, respond)
    await lab.join(replica, **RARELY)
    await lab.admit(replica)
    return replica


async def pair(lab: World, respond: Responder) -> list[Replica]:
    return [await in_rotation(lab, f"app-{slot}.1", respond) for slot in (1, 2)]


async def attempts(lab: World) -> dict[str, list[dict[str, Any]]]:
    """Close the run; return each request's attempts: begin and end together."""
    await lab.change("DELETE", "/v1/run")
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lab.ledger("r1"):
        if line["e"] == "begin":
            found.setdefault(line["id"], []).append(line)
        elif line["e"] == "end":
            (begun,) = [each for each in found[line["id"]] if each["attempt"] == line["attempt"]]
            begun["result"] = line["result"]
    return found
