"""`python -m loadtest` as a process of its own, and a parcel service on loopback that can be told to misbehave."""

import json
import re
import socket
import socketserver
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sample_app.page import Form, front
from tests import loadtest_live as live

ROOT = Path(__file__).parents[1]
SCHEMAS = ROOT / "docs/reference/schemas"
Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    id: str
    method: str
    path: str
    number: int
    """of its kind: how many reads of one parcel, or of anything else, came before it"""

    @property
    def reads_one_parcel(self) -> bool:
        return self.method == "GET" and re.fullmatch(r"/parcels/\d+", self.path) is not None


def well_behaved(_request: Request) -> str | None:
    return None


def seal(request_id: str, data: object, *, version: str = "v1", part: str = "data") -> bytes:
    head = {"request_id": request_id, "version": version, "replica": "app-1.1", part: data}
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))[:-1].encode() + b',"length":"'
    return text + b'%08d","end":"."}' % (len(text) + 20)


def http(body: bytes, *, status: int = 200, version: str = "v1", length: int | None = None, more: str = "") -> bytes:
    size = len(body) if length is None else length
    framing = f"Content-Length: {size}\r\n" if size >= 0 else ""
    head = f"HTTP/1.1 {status} X\r\nX-Lab-Version: {version}\r\nX-Lab-Replica: app-1.1\r\n{more}{framing}\r\n"
    return head.encode() + body


class Stub:
    """Parcels in memory behind raw sockets; `misbehave` names the fault with which a request is met."""

    def __init__(self, misbehave: Callable[[Request], str | None] = well_behaved) -> None:
        self.misbehave = misbehave
        self.front = front("v1", Form.SAFE)
        self.parcels: dict[int, Line] = {}
        self.keys: dict[str, int] = {}
        self.met: dict[str, str] = {}
        self.seen: list[str] = []
        self.kinds: Counter[bool] = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.server = _Server(("127.0.0.1", 0), _Connection)
        self.server.stub = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def script(self, path: str) -> bytes:
        return self.front.scripts[path.removeprefix("/assets/")]

    def refuse(self) -> None:
        """Close the listener and every connection, as a process that died would."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.gate.set()
        self.server.shutdown()
        self.server.socket.close()
        with self.lock:
            for connection in self.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.refuse()
        self.thread.join(5)
        self.server.server_close()

    def answer(self, request: Request, body: Line) -> tuple[int, object]:
        with self.lock:
            if request.method == "POST":
                if body["key"] in self.keys:
                    return 200, dict(self.parcels[self.keys[body["key"]]])
                stored = {"id": len(self.parcels) + 1, "status": "registered", **body}
                self.parcels[stored["id"]] = stored
                self.keys[stored["key"]] = stored["id"]
                return 201, stored
            after, limit = map(int, re.findall(r"=(\d+)", request.path)) if "after" in request.path else (0, 0)
            if limit:
                ids = [rid for rid in sorted(self.parcels) if rid > after]
                more = ids[limit - 1] if len(ids) > limit else None
                return 200, {"items": [self.parcels[rid] for rid in ids[:limit]], "next": more}
            if request.path == "/livez":
                return 200, {"live": True}
            stored = self.parcels[int(request.path.rpartition("/")[2])]
            if request.method == "PATCH":
                stored.update(body)
            return 200, dict(stored)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    request_queue_size = 512
    stub: Stub

    def handle_error(self, *_: object) -> None:
        """The load closes connections as it likes."""


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.connection.settimeout(30)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.server.stub.lock:
            self.server.stub.connections.add(self.connection)
        try:
            while self.one():
                pass
        except OSError:
            pass
        finally:
            with self.server.stub.lock:
                self.server.stub.connections.discard(self.connection)

    def one(self) -> bool:
        stub = self.server.stub
        lines = [self.rfile.readline()]
        first = lines[0].decode().split()
        if not first:
            return False
        lines += iter(self.rfile.readline, b"\r\n")
        headers = dict(line.decode().strip().split(": ", 1) for line in lines[1:])
        body = json.loads(self.rfile.read(int(headers.get("Content-Length", 0))) or b"{}")
        request = self.note(first[0], first[1], headers["X-Lab-Request-Id"])
        stub.gate.wait(20)
        fault = stub.misbehave(request)
        if fault is not None:
            stub.met[request.id] = fault
        if fault == "late":
            stub.closing.wait(1.3)
            fault = None
        if fault in FAULTS:
            return FAULTS[fault](self.connection, request.id, dict(stub.parcels.get(1, {})))
        if request.path.startswith("/stream"):
            return live.stream(self.connection, request.path, partial(seal, request.id), fault)
        if request.path == "/ws":
            head = b"".join([*lines, b"\r\n"])
            return live.websocket(self.connection, head, partial(seal, request.id), fault)
        if request.path.startswith("/slow"):
            seconds = float(request.path.partition("=")[2])
            if stub.closing.wait(seconds):
                return False
            self.connection.sendall(http(seal(request.id, {"slept": seconds})))
            return True
        if request.path == "/" or request.path.startswith("/assets/"):
            self.connection.sendall(http(stub.front.page if request.path == "/" else stub.script(request.path)))
            return headers.get("Connection") != "close"
        status, data = stub.answer(request, body)
        self.connection.sendall(http(seal(request.id, data), status=status))
        return headers.get("Connection") != "close"

    def note(self, method: str, path: str, rid: str) -> Request:
        stub = self.server.stub
        with stub.lock:
            kind = Request(id=rid, method=method, path=path, number=0).reads_one_parcel
            stub.kinds[kind] += 1
            stub.seen.append(rid)
            return Request(id=rid, method=method, path=path, number=stub.kinds[kind])


Fault = Callable[[socket.socket, str, Line], bool]


def bytes_then(make: Callable[[str, Line], bytes], *, on: bool) -> Fault:
    def fault(connection: socket.socket, rid: str, parcel: Line) -> bool:
        connection.sendall(make(rid, parcel))
        return on

    return fault


def reset(connection: socket.socket, _id: str, _parcel: Line) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return False


def hang_after(connection: socket.socket, data: bytes) -> bool:
    connection.sendall(data)
    return bool(connection.recv(1))


def reset_after(connection: socket.socket, data: bytes) -> bool:
    connection.sendall(data)
    connection.settimeout(0.1)  # until the load has read it: a reset throws away what it had not
    with suppress(TimeoutError):
        connection.recv(1)
    return reset(connection, "", {})


def hang(connection: socket.socket, _id: str, _parcel: Line) -> bool:
    return bool(connection.recv(1))


def renamed(parcel: Line) -> Line:
    return {("receiver" if name == "recipient_name" else name): value for name, value in parcel.items()}


def without_parts(parcel: Line) -> Line:
    return {name: value for name, value in parcel.items() if name not in {"first_name", "last_name"}}


FAULTS: dict[str, Fault] = {
    "reset body": lambda connection, rid, parcel: reset_after(connection, http(seal(rid, parcel))[:-20]),
    "fin": bytes_then(lambda *_: b"", on=False),
    "rst": reset,
    "hang": hang,
    "cut header": bytes_then(lambda rid, parcel: http(seal(rid, parcel))[:30], on=False),
    "cut length": bytes_then(lambda rid, parcel: http(seal(rid, parcel))[:-20], on=False),
    "cut chunked": bytes_then(
        lambda rid, parcel: http(b"20\r\n" + seal(rid, parcel)[:32] + b"\r\n", length=-1, more=CHUNKED), on=False
    ),
    "cut close": bytes_then(lambda rid, parcel: http(seal(rid, parcel)[:-20], length=-1), on=False),
    "cut inside": bytes_then(lambda rid, parcel: http(seal(rid, parcel)[:-20]), on=True),
    "hang in body": lambda connection, rid, parcel: hang_after(connection, http(seal(rid, parcel))[:-20]),
    "wrong sender": bytes_then(lambda rid, parcel: http(seal(rid, parcel), version="v2"), on=True),
    "not http": bytes_then(lambda *_: b"hello, world\r\n\r\n", on=False),
    "wrong id": bytes_then(lambda rid, parcel: http(seal(rid + "x", parcel)), on=True),
    "wrong shape": bytes_then(lambda rid, parcel: http(seal(rid, renamed(parcel))), on=True),
    "wrong parcel": bytes_then(lambda rid, parcel: http(seal(rid, {**parcel, "id": -1})), on=True),
    "v2 without names": bytes_then(
        lambda rid, parcel: http(seal(rid, without_parts(parcel), version="v2"), version="v2"), on=True
    ),
    "not found": bytes_then(lambda rid, _: http(seal(rid, NOT_FOUND, part="error"), status=404), on=True),
    "redirect": bytes_then(lambda *_: http(b"", status=302, more="Location: /livez\r\n"), on=True),
    "sql error": bytes_then(lambda *_: http(b"{}", status=500, more="X-Lab-Error: 42703 no such\r\n"), on=True),
    "no replica": bytes_then(lambda *_: http(b"", status=503, more="X-Lab-Proxy: no-ready-replica\r\n"), on=True),
}
CHUNKED = "Transfer-Encoding: chunked\r\n"
NOT_FOUND = {"code": "not-found", "message": "no such parcel"}


@dataclass(slots=True)
class Run:
    """One run of the load: its process, and what it wrote."""

    process: subprocess.Popen[str]
    ledger: Path
    lines: list[Line] = field(default_factory=list)

    def until(self, type: str) -> Line:
        """The next stdout line of that type; the test's own limit ends a wait in vain."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(json.loads(text))
            if self.lines[-1]["type"] == type:
                return self.lines[-1]
        raise AssertionError(f"the load ended without a line {type!r}: {self.lines[-3:]}")

    def end(self) -> int:
        out, _ = self.process.communicate(timeout=30)
        self.lines += [json.loads(text) for text in out.splitlines()]
        return self.process.returncode

    def ledger_lines(self) -> list[Line]:
        return [json.loads(text) for text in self.ledger.read_text().splitlines()]

    def offers(self) -> dict[str, Line]:
        return {line["id"]: line for line in self.ledger_lines() if line["e"] == "offer"}

    def ends(self) -> dict[str, Line]:
        return {line["id"]: line for line in self.ledger_lines() if line["e"] == "end"}

    def outcomes(self) -> dict[str, str]:
        return {rid: line["outcome"] for rid, line in self.ends().items()}


@contextmanager
def load(url: str, runs: Path, *flags: str, program: tuple[str, ...] = ("-m", "loadtest")) -> Iterator[Run]:
    command = [sys.executable, *program, "--target", url, "--run", "r1", "--runs-dir", str(runs), *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield Run(process, runs / "r1/client.jsonl")
    finally:
        process.kill()
        process.communicate()


@contextmanager
def served(misbehave: Callable[[Request], str | None] = well_behaved) -> Iterator[Stub]:
    stub = Stub(misbehave)
    try:
        yield stub
    finally:
        stub.close()
