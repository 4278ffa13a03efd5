"""The proxy's ledger of a run: what became of each attempt, and each request rejected.

Lines are gathered and handed to a process of their own every 20 ms: no request waits for a disk. An attempt that is
over by then is one line, a longer one has a line at its begin and one at its end. What does not fit while the disk is
slow is lost, counted, and said in the ledger itself. A `kill -9` loses what was not handed over yet; then the ledger
says that the proxy was restarted.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from proxy.scribe import Scribe

SCHEMA = "lab.proxy-ledger/1"
FLUSH_SECONDS = 0.02
MAX_PENDING = 50_000
# For a disk at the edges of a run.
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.001


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


_RESULTS = {result: result.encode() for result in Result}
_CODES = {code: b"%d" % code for code in range(100, 1000)}
_BEGUN = b'"id":"%b","attempt":%d,%b,%b,"reused":%b,"t":%d'
_BOTH = b'{"e":"attempt",%b,"result":"%b","status":%b,"t_end":%d,"bytes_up":%d,"bytes_down":%d}\n'
_ENDED = b'{"e":"end","id":"%b","attempt":%d,"result":"%b","status":%b,"t":%d,"bytes_up":%d,"bytes_down":%d}\n'


def named_request(method: bytes, path: bytes) -> bytes:
    """Return what was asked, as the line of an attempt says it."""
    if path.isascii() and b'"' not in path and b"\\" not in path:
        return b'"method":"%b","path":"%b"' % (method, path)
    return b'"method":"%b","path":%b' % (method, json.dumps(path.decode("latin-1")).encode())


class Attempt:
    """What the ledger knows of an attempt under way: `begun` are the words of its line. Empty: it is in no ledger."""

    __slots__ = ("attempt", "begun", "request_id", "run")

    def __init__(self, request_id: bytes, attempt: int) -> None:
        self.request_id = request_id
        self.attempt = attempt
        self.begun = b""
        self.run: str | None = None


class Ledger:
    """Writes nothing while no run is open. A write that fails closes it without a footer, so that readers see a gap."""

    def __init__(
        self, folder: Path, clock: Callable[[], int] = time.monotonic_ns, *, max_pending: int = MAX_PENDING
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._max_pending = max_pending
        self._scribe: Scribe | None = None
        self._attempts = 0
        self._pending: list[bytes] = []
        self._begun: dict[Attempt, None] = {}
        # How a line names a replica, at an epoch: the same for many.
        self._replicas: dict[str, tuple[int, bytes]] = {}
        # What was handed over and not taken yet.
        self._rest = b""
        self._lost = 0
        self._flush_soon: asyncio.TimerHandle | None = None
        self.lost_lines = 0
        self.run: str | None = None

    @property
    def writer(self) -> int | None:
        """The process that writes the file, while a run is open."""
        return None if self._scribe is None else self._scribe.pid

    @property
    def waiting_bytes(self) -> int:
        """What is kept because the disk has not taken it."""
        return len(self._rest) + sum(map(len, self._pending))

    def open(self, run: str) -> None:
        """Open the run's ledger; one that is there already (a proxy or a controller came back) is continued."""
        if run == self.run:
            return
        self.close()
        path = self._folder / run / "proxy.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._attempts, ends_whole, was_open = _found(path)
        self._replicas.clear()
        path.touch()
        self._scribe = Scribe(path)
        self.run = run
        if not ends_whole:
            self._pending.append(b"\n")
        if was_open:
            self._put({"e": "restarted", "t": self._clock()})
        elif path.stat().st_size == 0:
            self._put({"e": "header", "schema": SCHEMA, "run": run, "t": self._clock()})
        self._write()

    def close(self) -> None:
        """End it with a footer, and wait until that is in the file."""
        self.detach()()

    def detach(self) -> Callable[[], None]:
        """End it with a footer, and return what waits until that is in the file: for a thread, for a disk may be slow.

        The footer has to fit, whatever does not.
        """
        footer = {"e": "footer", "t": self._clock(), "attempts": self._attempts}
        return self._let_go(json.dumps(footer, separators=(",", ":")).encode() + b"\n")

    def suspend(self) -> None:
        """Let go of the file without a footer: the run goes on when the proxy is back."""
        self._let_go()()

    def begin(self, attempt: Attempt, replica: str, epoch: int, request: bytes, reused: bool) -> None:
        """Begin a line; `request` is what `named_request` says."""
        if self._scribe is None:
            return
        self._attempts += 1
        attempt.run = self.run
        said = self._replicas.get(replica)
        if said is None or said[0] != epoch:
            said = self._replicas[replica] = epoch, b'"replica":"%b","epoch":%d' % (replica.encode(), epoch)
        again = b"true" if reused else b"false"
        attempt.begun = _BEGUN % (attempt.request_id, attempt.attempt, said[1], request, again, self._clock())
        if self._room():
            self._begun[attempt] = None

    def end(self, attempt: Attempt, result: Result, status: int, up: int, down: int) -> None:
        """End what was begun; if that was before a run was opened, or in another run, it is none of this ledger's.

        `status` 0: there was none.
        """
        if not attempt.begun or self._scribe is None or attempt.run != self.run:
            return
        code = _CODES.get(status, b"null")
        if attempt in self._begun:
            del self._begun[attempt]
            self._pending.append(_BOTH % (attempt.begun, _RESULTS[result], code, self._clock(), up, down))
        elif self._room():
            about = (attempt.request_id, attempt.attempt, _RESULTS[result], code, self._clock(), up, down)
            self._pending.append(_ENDED % about)

    def reject(self, id_: bytes, reason: str, status: int) -> None:
        self._put({"e": "reject", "id": id_.decode(), "reason": reason, "status": status, "t": self._clock()})

    def cuts(self, every: int) -> None:
        """Say that answers are cut on purpose from here on: nobody may take this run for an honest one."""
        self._put({"e": "cut-switch", "every": every, "t": self._clock()})

    def _put(self, fields: dict[str, Any]) -> None:
        if self._scribe is not None:
            self._line(json.dumps(fields, separators=(",", ":")).encode() + b"\n")

    def _line(self, line: bytes) -> None:
        if self._room():
            self._pending.append(line)

    def _room(self) -> bool:
        """Whether one more line fits; if not, it is counted as lost."""
        if len(self._pending) + len(self._begun) >= self._max_pending:
            self._lost += 1
            self.lost_lines += 1
            return False
        if self._flush_soon is None:
            self._flush_soon = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)
        return True

    def _flush(self) -> None:
        self._flush_soon = None
        if self._write() and (self._rest or self._pending or self._begun):
            self._flush_soon = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _gathered(self) -> bytes:
        """Give each attempt that is still under way its line, say what is missing, and return all of it."""
        for attempt in self._begun:
            self._pending.append(b'{"e":"begin",%b}\n' % attempt.begun)
        self._begun.clear()
        if self._lost:
            self._pending.append(b'{"e":"lost","lines":%d,"t":%d}\n' % (self._lost, self._clock()))
            self._lost = 0
        lines, self._pending = self._pending, []
        return b"".join(lines)

    def _write(self) -> bool:
        """Hand over what there is, as far as it is taken; nothing more before that is, or the bound would be none."""
        if self._scribe is None:
            return False
        data = self._rest or self._gathered()
        try:
            self._rest = data[self._scribe.write(data) :]
        except OSError:
            self._give_up()
            return False
        return True

    def sync(self) -> None:
        """Have all there is in the file; who serves requests has no time for that."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while self._write() and (self._rest or self._pending or self._begun) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS if self._rest else 0)
        if self._scribe is not None and (self._rest or not self._scribe.sync(until - time.monotonic())):
            self._give_up()

    def _give_up(self) -> None:
        _say_that_it_ends(self.run)
        # The run stays open: nothing may look as if its ledger had a beginning after this.
        run, scribe, self._scribe = self.run, self._scribe, None
        self._let_go()
        self.run = run
        if scribe is not None:
            scribe.close(_PATIENCE_SECONDS)

    def _let_go(self, last: bytes = b"") -> Callable[[], None]:
        """Forget the run, and return what brings all there is of it, and the last line, into its file."""
        if self._flush_soon is not None:
            self._flush_soon.cancel()
            self._flush_soon = None
        scribe, self._scribe = self._scribe, None
        data = self._rest + self._gathered() + last
        run, self.run, self._rest = self.run, None, b""
        return (lambda: None) if scribe is None else (lambda: _finish(scribe, data, run))


def _finish(scribe: Scribe, data: bytes, run: str | None) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    try:
        while data := data[scribe.write(data) :]:
            if time.monotonic() > until:
                break
            time.sleep(_POLL_SECONDS)
    except OSError:
        pass  # its process has ended: what waits is told below
    if data or not scribe.sync(until - time.monotonic()):
        _say_that_it_ends(run)
    scribe.close(_PATIENCE_SECONDS)


def _say_that_it_ends(run: str | None) -> None:
    sys.stderr.write(f"proxy: the ledger of run {run} cannot be written: it ends here\n")


def _found(path: Path) -> tuple[int, bool, bool]:
    """Return how many attempts a ledger holds, whether its last line is whole, and whether it was left open."""
    try:
        with path.open("rb") as file:
            attempts, last = 0, b""
            for last in file:
                attempts += last.startswith((b'{"e":"begin"', b'{"e":"attempt"'))
            return attempts, last.endswith(b"\n") or not last, bool(last) and b'"e":"footer"' not in last
    except FileNotFoundError:
        return 0, True, False
