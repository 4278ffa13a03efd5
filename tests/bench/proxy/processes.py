"""A pinned process, what it costs, and its end."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 20.0
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class NotStartedError(Exception):
    """A process did not come up; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process and its children."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        return sum(int(field) for stat in self._stats() for field in stat[11:13]) / _TICK

    def rss_kib(self) -> int:
        return sum(int(stat[21]) for stat in self._stats()) * _PAGE_KIB

    def take_precedence(self, priority: int) -> bool:
        """Let nothing ordinary take the processor from it; 0: as usual again. False: that is not allowed here."""
        policy = os.SCHED_FIFO if priority else os.SCHED_OTHER
        try:
            for thread in self._threads():
                os.sched_setscheduler(thread, policy, os.sched_param(priority))
        except (OSError, AttributeError):
            return False
        return True

    def check(self) -> None:
        if self.popen.poll() is not None:
            raise NotStartedError(f"{self.name} ended with {self.popen.returncode}:\n{self.said()[-2000:]}")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def _threads(self) -> list[int]:
        return [int(task.name) for pid in self._family() for task in Path(f"/proc/{pid}/task").iterdir()]

    def _stats(self) -> list[list[str]]:
        return list(self._family().values())

    def _family(self) -> dict[int, list[str]]:
        every = {int(entry.name): _stat(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        return {pid: stat for pid, stat in every.items() if _descends(pid, self.popen.pid, every)}


@contextlib.contextmanager
def started(
    name: str, argv: list[str], *, cpu: int, folder: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Process]:
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            pinned(argv, cpu),
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Process(name=name, popen=popen, log=log)
    finally:
        _end(popen)


def pinned(argv: list[str], cpu: int) -> list[str]:
    return ["taskset", "--cpu-list", str(cpu), *argv]


def wait_for_port(process: Process, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        process.check()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline:
            raise NotStartedError(f"{process.name} does not listen on {port}:\n{process.said()[-2000:]}")
        time.sleep(0.02)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def busy_seconds(cpu: int) -> float:
    """How long this processor has worked for anyone since boot."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, _idle, _wait, irq, softirq, steal = (int(field) for field in fields[:8])
            return (user + nice + system + irq + softirq + steal) / _TICK
    return 0.0


def _stat(process: Path) -> list[str]:
    """Return the fields after the command's name: state, parent, .."""
    try:
        text = (process / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _descends(pid: int, ancestor: int, every: Mapping[int, list[str]]) -> bool:
    while every.get(pid):
        if pid == ancestor:
            return True
        pid = int(every[pid][1])
    return False


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.terminate()
    try:
        popen.wait(5)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait(5)
