"""The open-loop generator of `make bench-proxy` against a server that stalls, answers wrongly, or hangs up."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

from tests.bench.proxy.openloop import Generator
from tests.bench.proxy.plan import SMALL_BODY

GOOD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(SMALL_BODY)}\r\n\r\n{SMALL_BODY}".encode()
BAD = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
STALL_SECONDS = 0.3


@contextlib.contextmanager
def serving(answer: Callable[[int], bytes]) -> Iterator[int]:
    """Serve one connection after the other; the answer to request n, and nothing more on a connection after b''."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        count = 0
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    while connection.recv(65536):
                        count += 1
                        if not (data := answer(count)):
                            break
                        connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def offered(port: int, *, rate: int, seconds: float) -> Generator:
    with contextlib.closing(Generator(port, connections=1)) as generator:
        generator.run(rate, seconds, warm_seconds=0)
        return generator


def test_a_stall_is_seen_by_every_request_that_was_due_in_it() -> None:
    def stalls_once(count: int) -> bytes:
        if count == 20:
            time.sleep(STALL_SECONDS)
        return GOOD

    with serving(stalls_once) as port:
        generator = offered(port, rate=200, seconds=0.5)

    slow = [latency for latency in generator.latencies if latency >= STALL_SECONDS / 2 * 1e9]
    assert generator.errors == 0
    assert len(generator.latencies) == 100
    assert len(slow) >= 25  # 60 were due in the stall, and the first half of them waited for half of it or more


def test_waiting_for_a_connection_is_latency_and_no_lag_of_the_generator() -> None:
    def stalls_once(count: int) -> bytes:
        if count == 20:
            time.sleep(STALL_SECONDS)
        return GOOD

    with serving(stalls_once) as port:
        generator = offered(port, rate=200, seconds=0.5)

    assert max(generator.latencies) >= STALL_SECONDS * 1e9
    assert max(generator.lags) < STALL_SECONDS / 2 * 1e9


def test_a_wrong_answer_and_a_closed_connection_are_errors() -> None:
    def answers(count: int) -> bytes:
        return {3: BAD, 5: b""}.get(count, GOOD)

    with serving(answers) as port:
        generator = offered(port, rate=200, seconds=0.05)

    assert generator.errors == 2
    assert len(generator.latencies) == 8
