"""The proxy's ledger of a run: one line per attempt begun, ended, or request rejected, each written at once."""

import json
import os
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

SCHEMA = "lab.proxy-ledger/1"


class Result(StrEnum):
    OK = "ok"
    CONNECT_FAILED = "connect_failed"
    CLOSED_BEFORE_RESPONSE = "closed_before_response"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    CLIENT_GONE = "client_gone"
    ABORTED_AT_DRAIN = "aborted_at_drain"


class Ledger:
    """Writes nothing while no run is open. A write that fails closes it without a footer, so that readers see a gap."""

    def __init__(self, folder: Path, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._folder = folder
        self._clock = clock
        self._file: int | None = None
        self._attempts = 0
        self.run: str | None = None

    def open(self, run: str) -> None:
        """Open the run's ledger; one that is there already (a proxy or a controller came back) is continued."""
        if run == self.run:
            return
        self.close()
        path = self._folder / run / "proxy.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._attempts, ends_whole = _count_attempts(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.run = run
        if not ends_whole:
            os.write(self._file, b"\n")
        if path.stat().st_size == 0:
            self._line({"e": "header", "schema": SCHEMA, "run": run, "t": self._clock()})

    def close(self) -> None:
        self._line({"e": "footer", "t": self._clock(), "attempts": self._attempts})
        self.suspend()

    def suspend(self) -> None:
        """Let go of the file without a footer: the run goes on when the proxy is back."""
        if self._file is not None:
            os.close(self._file)
        self._file = None
        self.run = None

    def begin(self, id_: str, attempt: int, *, replica: str, epoch: int, method: str, path: str, reused: bool) -> None:
        self._attempts += 1
        self._line(
            {
                "e": "begin",
                "id": id_,
                "attempt": attempt,
                "replica": replica,
                "epoch": epoch,
                "method": method,
                "path": path,
                "reused": reused,
                "t": self._clock(),
            }
        )

    def end(self, id_: str, attempt: int, result: Result, *, status: int | None, up: int, down: int) -> None:
        self._line(
            {
                "e": "end",
                "id": id_,
                "attempt": attempt,
                "result": result.value,
                "status": status,
                "t": self._clock(),
                "bytes_up": up,
                "bytes_down": down,
            }
        )

    def reject(self, id_: str, reason: str, status: int) -> None:
        self._line({"e": "reject", "id": id_, "reason": reason, "status": status, "t": self._clock()})

    def _line(self, fields: dict[str, Any]) -> None:
        if self._file is None:
            return
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        try:
            whole = os.write(self._file, line) == len(line)
        except OSError:
            whole = False
        if not whole:
            sys.stderr.write(f"proxy: the ledger of run {self.run} cannot be written: it ends here\n")
            os.close(self._file)
            self._file = None


def _count_attempts(path: Path) -> tuple[int, bool]:
    try:
        with path.open("rb") as file:
            attempts, last = 0, b"\n"
            for last in file:
                attempts += last.startswith(b'{"e":"begin"')
            return attempts, last.endswith(b"\n")
    except FileNotFoundError:
        return 0, True
