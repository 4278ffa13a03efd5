"""A file system of its own with little room, and what fills it. Only root can mount one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path, *, size: str) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", at]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("who is not root cannot mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def fill(disk: Path) -> Path:
    """Leave not a byte, also if others write there meanwhile. Removing the file makes room again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for block in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(bytes(block)) == block:
                    pass
    return filler
