"""Requests leave together at the end of a step: until then nothing was asked, and nothing that comes is an answer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.outbox import Outbox
from proxy.upstream import UpstreamConnection, UpstreamError
from tests.proxy_world import get, send, world

ASKED = b"GET / HTTP/1.1\r\nHost: lab.test\r\n\r\n"
UNASKED = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Prepared:
    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    def send_prepared(self) -> None:
        self._told.append(self._name)


class Transport(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


class Receiver:
    def __init__(self) -> None:
        self.failed: UpstreamError | None = None

    def answer_failed(self, error: UpstreamError) -> None:
        self.failed = error

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing was asked, and {name} was told")


def prepared() -> tuple[UpstreamConnection, Transport, Any]:
    connection, transport, receiver = UpstreamConnection(lambda _: None, lambda _: None), Transport(), Receiver()
    connection.connection_made(transport)
    connection.prepare(receiver, ASKED, head_only=False)  # type: ignore[arg-type]
    return connection, transport, receiver


async def test_what_is_prepared_in_one_step_leaves_in_one_go_after_it() -> None:
    told: list[str] = []
    outbox = Outbox(asyncio.get_running_loop())
    for round_ in ("first", "second"):
        outbox.add(Prepared(f"{round_} a", told))
        told.append("answered")
        outbox.add(Prepared(f"{round_} b", told))
        await asyncio.sleep(0)
    assert told == ["answered", "first a", "first b", "answered", "second a", "second b"]


def test_a_request_is_sent_once() -> None:
    connection, transport, _ = prepared()
    connection.send_prepared()
    connection.send_prepared()
    assert transport.written == [ASKED]


def test_a_connection_that_was_given_up_in_the_same_step_sends_nothing() -> None:
    connection, transport, _ = prepared()
    connection.abort()
    connection.send_prepared()
    assert transport.written == []


def test_what_comes_before_the_request_left_is_not_its_answer() -> None:
    connection, transport, receiver = prepared()
    connection.data_received(UNASKED)
    connection.send_prepared()
    assert str(receiver.failed) == "the replica spoke before it was asked"
    assert transport.aborted
    assert transport.written == []


async def test_a_replica_that_speaks_unasked_costs_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a server does that times a kept connection out, in the step in which the proxy takes it for a request."""
    real, interrupted = Outbox.add, []

    def add(outbox: Outbox, connection: Any) -> None:
        real(outbox, connection)
        if connection.is_quiet() and not interrupted:
            interrupted.append(connection)
            connection.data_received(UNASKED)

    async with world(tmp_path) as lab:
        replica = await lab.serve("app-1.1")
        assert (await send(lab.port, get())).status == 200
        await lab.change("PUT", "/v1/run", run="r1")
        monkeypatch.setattr(Outbox, "add", add)
        answer = await send(lab.port, get("/again"))
        rows = [row for row in lab.raw_ledger("r1") if row["e"] == "attempt"]
        assert (answer.status, answer.body) == (200, b"hello")
        assert interrupted
        assert [row["result"] for row in rows] == ["closed_before_response", "ok"]
        assert [request.target for request in replica.requests] == ["/", "/again"]
