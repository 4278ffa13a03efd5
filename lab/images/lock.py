"""One build of the same image at a time, across all processes of this user."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError

DEADLINE_SECONDS = 900.0
_POLL_SECONDS = 0.2


def lock_folder() -> Path:
    """Return where the locks lie; the folder exists."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "rolling-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str, progress: Callable[[str], None], *, seconds: float = DEADLINE_SECONDS) -> Iterator[None]:
    """Hold the lock of that name; say so once if another process has it."""
    path = lock_folder() / f"{name.replace('/', '_').replace(':', '-')}.lock"
    with path.open("w") as file:
        _acquire(file.fileno(), name, progress, path, seconds)
        yield


def _acquire(descriptor: int, name: str, progress: Callable[[str], None], path: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LabError(
                    id="image-lock",
                    what=f"another process has been making {name} for {seconds:.0f} s",
                    where=str(path),
                    fix="end that process, then run the command again",
                ) from None
            if not told:
                progress(f"{name}: another process makes it; waiting up to {seconds:.0f} s")
                told = True
            time.sleep(_POLL_SECONDS)
        else:
            return
