"""The client alone, against bare loopback servers that do one thing exactly."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadtest.ledger import Ledger
from loadtest.messages import Broken, Message, Reply
from loadtest.outcomes import Kind, Outcome
from loadtest.sender import Ask, Sender
from loadtest.tally import Tally
from loadtest.transport import Transport

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = Message(method="GET", path="/")
EACH = 5


@contextmanager
def serving(turn: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """Give each connection, with its number, to `turn`, and then close it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                turn(connection, number)
            number += 1

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def asked(connection: socket.socket) -> None:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += connection.recv(4096)


def kind_of(answer: Reply | Broken) -> Kind | None:
    return answer.flaw.kind if isinstance(answer, Broken) else None


def until(seconds: float = 5.0) -> int:
    return time.monotonic_ns() + int(seconds * 1e9)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def says(data: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(data)


WAYS: dict[Kind, Callable[[socket.socket], None]] = {
    Kind.CLOSED: says(b""),
    Kind.RESET: reset,
    Kind.CUT_HEADER: says(b"HTTP/1.1 200 OK\r\nContent-Le"),
    Kind.CUT_LENGTH: says(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok"),
    Kind.CUT_CHUNKED: says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
    Kind.NOT_HTTP: says(b"220 smtp.example ready\r\n"),
}


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_of_ten_connections_every_second_is_broken_and_exactly_those_are_reported(kind: Kind, method: str) -> None:
    def turn(connection: socket.socket, number: int) -> None:
        asked(connection)
        if number % 2:
            WAYS[kind](connection)
        else:
            connection.sendall(WHOLE)

    with serving(turn) as url:
        transport = Transport(url, connections=1)
        message = Message(method=method, path="/", fresh=True)
        answers = [kind_of(transport.send(message, until=until())) for _ in range(2 * EACH)]
    assert answers == [None, kind] * EACH


def test_a_connection_that_its_server_closed_while_it_was_idle_is_not_used_and_nothing_is_reported() -> None:
    left = threading.Event()

    def turn(connection: socket.socket, _number: int) -> None:
        asked(connection)
        connection.sendall(WHOLE)
        connection.close()
        left.set()

    with serving(turn) as url:
        transport = Transport(url, connections=4)
        for _ in range(EACH):
            left.clear()
            answer = transport.send(GET, until=until())
            assert left.wait(5)
            assert isinstance(answer, Reply)
            assert answer.trace.turn == 1
        transport.close()


def test_a_kept_connection_is_used_again_and_a_fresh_request_leaves_it_alone() -> None:
    def turn(connection: socket.socket, number: int) -> None:
        for _ in range(1 if number else 2):
            asked(connection)
            connection.sendall(WHOLE)

    with serving(turn) as url:
        transport = Transport(url, connections=4)
        first, again = (transport.send(GET, until=until()).trace for _ in range(2))
        fresh = transport.send(Message(method="GET", path="/", fresh=True), until=until()).trace
        transport.close()
    assert (first.connection, first.turn, again.connection, again.turn) == (1, 1, 1, 2)
    assert (fresh.connection, fresh.turn) == (2, 1)


def test_a_port_where_nobody_listens_refuses_and_through_a_published_one_that_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    plain, published = (Transport(url, connections=1, published=through) for through in (False, True))
    refused, silent = plain.send(GET, until=until()), published.send(GET, until=until())
    assert isinstance(refused, Broken)
    assert isinstance(silent, Broken)
    assert (refused.flaw.outcome, refused.flaw.kind) == (Outcome.REFUSED, Kind.REFUSED)
    assert (silent.flaw.outcome, silent.flaw.kind) == (Outcome.RESET, Kind.NO_ANSWER)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"", Kind.TIMEOUT_WAITING),
        (b"HTTP/1.1 200 OK\r\n", Kind.TIMEOUT_HEADER),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Kind.TIMEOUT_BODY),
    ],
)
def test_the_deadline_counts_from_when_a_request_was_due_and_not_from_when_it_was_sent(
    tmp_path: Path, said: bytes, kind: Kind
) -> None:
    enough = threading.Event()

    def turn(connection: socket.socket, _number: int) -> None:
        asked(connection)
        connection.sendall(said)
        enough.wait(5)

    with serving(turn) as url, Ledger(tmp_path / "client.jsonl") as ledger:
        sender = Sender(
            run="r",
            transport=Transport(url, connections=1),
            ledger=ledger,
            tally=Tally(),
            deadline_ns=2_000_000_000,
            on_end=lambda _: None,
        )
        began = time.monotonic_ns()
        _, found = sender.send(Ask(cohort="late", method="GET", path="/", due=began - 1_800_000_000))
        took = (time.monotonic_ns() - began) / 1e9
        enough.set()
    assert found.kind is kind
    assert 0.15 < took < 1.5


def test_a_request_whose_deadline_was_over_before_it_could_be_sent_is_the_loads_own_fault(tmp_path: Path) -> None:
    tally = Tally()
    with Ledger(tmp_path / "client.jsonl") as ledger:
        sender = Sender(
            run="r",
            transport=Transport("http://127.0.0.1:1", connections=1),
            ledger=ledger,
            tally=tally,
            deadline_ns=1_000_000,
            on_end=lambda _: None,
        )
        due = time.monotonic_ns() - 5_000_000
        _, found = sender.send(Ask(cohort="late", method="GET", path="/", due=due))
    assert (found.outcome, found.kind) == (Outcome.NOT_SENT, Kind.TOO_LATE)
    assert (tally.counts.not_sent, tally.counts.failed) == (1, 0)
