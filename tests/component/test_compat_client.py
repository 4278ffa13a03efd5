"""The matrix's own client at a server that closes its kept connections whenever it likes."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.compat.client import Client


class ClosesAfterEach(BaseHTTPRequestHandler):
    """It answers as if it kept the connection, and does not."""

    protocol_version = "HTTP/1.1"
    closed = threading.Semaphore(0)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class Server(ThreadingHTTPServer):
    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        ClosesAfterEach.closed.release()


def test_a_connection_that_the_server_has_closed_while_it_rested_is_no_failed_write() -> None:
    with Server(("127.0.0.1", 0), ClosesAfterEach) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = Client(server.server_address[1], "t")
        answers = []
        for _ in range(3):
            answers.append(client.ask("POST", "/notes", {"text": "milk"}).status)
            assert ClosesAfterEach.closed.acquire(timeout=10)
        client.close()
        server.shutdown()

    assert answers == [200, 200, 200]
