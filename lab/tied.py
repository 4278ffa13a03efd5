"""`python -m lab.tied ..`: the lab's command, ended with whoever began it, however that one ended.

A test run that is killed by SIGKILL can end nothing itself; what it began must not go on changing a lab that nobody
owns any more. The whole process group goes, the Compose that the command had called included.
"""

import os
import signal
import sys
import threading
import time

LOOK_SECONDS = 0.2


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def main() -> int:
    parent = os.getppid()
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    threading.Thread(target=_watch, args=(parent,), name="tie", daemon=True).start()
    from lab.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
