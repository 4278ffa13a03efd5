"""A command in a terminal of its own: what it paints there, when, and what it leaves of the terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

SECONDS = 60
ROWS, COLUMNS = 50, 140
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
CTRL_C = b"\x03"
_COLOUR = re.compile(rb"\x1b\[[0-9;]*(?:3[0-8]|4[0-8]|9[0-7])[;m]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """`out`: what came on stdout, which is no part of the terminal. `seconds`: from the first frame to the last."""

    exit_code: int
    out: str
    painted: bytes
    frames: int
    seconds: float
    restored: bool
    """The terminal's modes are as before, and its cursor is to be seen."""

    @property
    def coloured(self) -> bool:
        return bool(_COLOUR.search(self.painted))


class PtyTerminal:
    """stdin and stderr are a terminal, the controlling one; stdout is a pipe. `frame`: what each repaint has once."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str], *, frame: str) -> None:
        self._frame = frame.encode()
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._before = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            argv,
            env=dict(environ),
            stdin=self._slave,
            stdout=subprocess.PIPE,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  only so Ctrl-C is a signal
        )
        self._painted = bytearray()
        self._times: list[float] = []
        self._heard = threading.Condition()
        self._over = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        self._over = True
        self._reader.join()
        for end in (self._master, self._slave):
            os.close(end)

    def until(self, text: str) -> None:
        with self._heard:
            there = self._heard.wait_for(lambda: text.encode() in self._painted, SECONDS)
        assert there, self._painted.decode(errors="replace")[-3000:]

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def ended(self) -> Left:
        out, _ = self.process.communicate(timeout=SECONDS)
        self._over = True
        self._reader.join()
        painted = bytes(self._painted)
        return Left(
            exit_code=self.process.returncode,
            out=out.decode(),
            painted=painted,
            frames=len(self._times),
            seconds=self._times[-1] - self._times[0] if self._times else 0.0,
            restored=termios.tcgetattr(self._slave) == self._before and painted.rfind(SHOWN) >= painted.rfind(HIDDEN),
        )

    def _read(self) -> None:
        """To the end: what was written before the command ended is still there to be read."""
        while True:
            ready, _, _ = select.select([self._master], [], [], 0.1)
            if not ready and self._over:
                return
            if ready:
                self._hear(os.read(self._master, 65536))

    def _hear(self, piece: bytes) -> None:
        with self._heard:
            self._painted += piece
            new = self._painted.count(self._frame) - len(self._times)
            self._times += [time.monotonic()] * new
            self._heard.notify_all()
