"""A file that is written by a process of its own, behind a pipe: whoever writes waits for no disk.

A thread would do it too, but would share the interpreter with the requests. And what is in the pipe reaches the file
even if the proxy is killed.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

_PIPE_BYTES = 1024 * 1024
_POLL_SECONDS = 0.001
_COPY = """
import os, sys
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
while data := os.read(0, 1 << 20):
    while data:
        data = data[os.write(out, data):]
"""


class Scribe:
    """Appends to one file. `write` takes what fits into the pipe, and OSError tells that the process has failed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = path.stat().st_size if path.exists() else 0
        reading, self._pipe = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self._pipe, False)
        # A session of its own: what tells the proxy to end must not end this one first.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _COPY, str(path)],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reading)

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, data: bytes) -> int:
        """Return how much was taken: less than all when the pipe is full."""
        try:
            taken = os.write(self._pipe, data)
        except BlockingIOError:
            return 0
        self._told += taken
        return taken

    def sync(self, seconds: float) -> bool:
        """Wait until all that was taken is in the file; False: it is not, in that time."""
        until = time.monotonic() + seconds
        while not (self._path.exists() and self._path.stat().st_size >= self._told):
            if self._process.poll() is not None or time.monotonic() > until:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def close(self, seconds: float) -> None:
        """Say that nothing more comes, and wait that long for the end of what did."""
        os.close(self._pipe)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            # It ends when its disk lets it; nobody waits for that.
            self._process.kill()
