"""Gives each request to the next of some replicas: two versions then answer in turn. The list may change meanwhile."""

import http.client
import itertools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_HOPS = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ports: Iterator[int]
    lock: threading.Lock

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.lock:
            port = next(self.ports)
        upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOPS}
        upstream.request(self.command, self.path, body or None, sent)
        answer = upstream.getresponse()
        whole = answer.read()
        upstream.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOPS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    do_POST = do_PATCH = do_GET  # noqa: N815  the library's names

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def round_robin(ports: Sequence[int]) -> Iterator[str]:
    about = {
        "ports": (ports[turn % len(ports)] for turn in itertools.count()),
        "lock": threading.Lock(),
        "disable_nagle_algorithm": True,
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), about))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
