"""The proxy's ledger of a run: one line per attempt begun, ended, or request rejected.

Lines are gathered and written by a thread every 20 ms: no request waits for a disk. What does not fit while the disk
is slow is lost, counted, and said in the ledger itself. A `kill -9` loses what was not written yet; then the ledger
says that the proxy was restarted.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

SCHEMA = "lab.proxy-ledger/1"
FLUSH_SECONDS = 0.02
MAX_PENDING = 50_000


class Result(StrEnum):
    OK = "ok"
    CONNECT_FAILED = "connect_failed"
    CLOSED_BEFORE_RESPONSE = "closed_before_response"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"
    ABORTED_AT_DRAIN = "aborted_at_drain"
    CUT = "cut"


class Ledger:
    """Writes nothing while no run is open. A write that fails closes it without a footer, so that readers see a gap."""

    def __init__(
        self, folder: Path, clock: Callable[[], int] = time.monotonic_ns, *, max_pending: int = MAX_PENDING
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._max_pending = max_pending
        self._file: int | None = None
        self._attempts = 0
        self._pending: list[bytes] = []
        self._disk = threading.Lock()
        self._lost = 0
        self._flush_soon: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[bool] | None = None
        self.lost_lines = 0
        self.run: str | None = None

    def open(self, run: str) -> None:
        """Open the run's ledger; one that is there already (a proxy or a controller came back) is continued."""
        if run == self.run:
            return
        self.close()
        path = self._folder / run / "proxy.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._attempts, ends_whole, was_open = _found(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.run = run
        if not ends_whole:
            self._pending.append(b"\n")
        if was_open:
            self._put({"e": "restarted", "t": self._clock()})
        elif path.stat().st_size == 0:
            self._put({"e": "header", "schema": SCHEMA, "run": run, "t": self._clock()})
        self.sync()

    def close(self) -> None:
        self._put({"e": "footer", "t": self._clock(), "attempts": self._attempts})
        self.suspend()

    def suspend(self) -> None:
        """Let go of the file without a footer: the run goes on when the proxy is back."""
        self.sync()
        self._let_go()
        self.run = None

    def begin(
        self, id_: bytes, attempt: int, *, replica: str, epoch: int, method: bytes, path: bytes, reused: bool
    ) -> None:
        if self._file is None:
            return
        self._attempts += 1
        self._line(
            b'{"e":"begin","id":"%b","attempt":%d,"replica":"%b","epoch":%d,"method":"%b","path":%b,"reused":%b,"t":%d}\n'
            % (
                id_,
                attempt,
                replica.encode(),
                epoch,
                method,
                _quoted(path),
                b"true" if reused else b"false",
                self._clock(),
            )
        )

    def end(self, id_: bytes, attempt: int, result: Result, *, status: int | None, up: int, down: int) -> None:
        if self._file is None:
            return
        self._line(
            b'{"e":"end","id":"%b","attempt":%d,"result":"%b","status":%b,"t":%d,"bytes_up":%d,"bytes_down":%d}\n'
            % (
                id_,
                attempt,
                result.encode(),
                b"null" if status is None else b"%d" % status,
                self._clock(),
                up,
                down,
            )
        )

    def reject(self, id_: bytes, reason: str, status: int) -> None:
        self._put({"e": "reject", "id": id_.decode(), "reason": reason, "status": status, "t": self._clock()})

    def _put(self, fields: dict[str, Any]) -> None:
        if self._file is not None:
            self._line(json.dumps(fields, separators=(",", ":")).encode() + b"\n")

    def _line(self, line: bytes) -> None:
        if len(self._pending) >= self._max_pending:
            self._lost += 1
            self.lost_lines += 1
            return
        if self._lost:
            self._pending.append(b'{"e":"lost","lines":%d,"t":%d}\n' % (self._lost, self._clock()))
            self._lost = 0
        self._pending.append(line)
        if self._flush_soon is None and self._writing is None:
            self._flush_soon = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._flush_soon = None
        if self._file is not None and self._pending:
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._write)
            self._writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Future[bool]") -> None:
        self._writing = None
        if not (writing.cancelled() or writing.result()):
            self._give_up()
        elif self._pending and self._flush_soon is None:
            self._flush_soon = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def sync(self) -> None:
        """Write all there is, at the edges of a run, where nobody's request waits."""
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        if self._lost:
            self._pending.append(b'{"e":"lost","lines":%d,"t":%d}\n' % (self._lost, self._clock()))
            self._lost = 0
        if not self._write():
            self._give_up()

    def _write(self) -> bool:
        """Write what is pending, in a thread or not: lines are taken and written under one lock, so in their order."""
        with self._disk:
            lines, self._pending = self._pending, []
            file, data = self._file, b"".join(lines)
            try:
                while file is not None and data:
                    data = data[os.write(file, data) :]
            except OSError:
                return False
            return True

    def _give_up(self) -> None:
        if self._file is None:
            return
        sys.stderr.write(f"proxy: the ledger of run {self.run} cannot be written: it ends here\n")
        self._let_go()
        self._pending.clear()

    def _let_go(self) -> None:
        with self._disk:
            if self._file is not None:
                os.close(self._file)
            self._file = None


def _quoted(path: bytes) -> bytes:
    if path.isascii() and b'"' not in path and b"\\" not in path:
        return b'"%b"' % path
    return json.dumps(path.decode("latin-1")).encode()


def _found(path: Path) -> tuple[int, bool, bool]:
    """Return how many attempts a ledger holds, whether its last line is whole, and whether it was left open."""
    try:
        with path.open("rb") as file:
            attempts, last = 0, b""
            for last in file:
                attempts += last.startswith(b'{"e":"begin"')
            return attempts, last.endswith(b"\n") or not last, bool(last) and b'"e":"footer"' not in last
    except FileNotFoundError:
        return 0, True, False
