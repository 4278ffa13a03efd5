"""How much load this machine can offer on time: `python -m tests.bench.loadtest [requests a second]`.

Not a test: it judges the machine. A run is to be trusted while the schedule lag's p99 stays under 50 ms.
"""

import multiprocessing
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from tests.loadtest_world import load, served


def measure(rate: str) -> dict[str, object]:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    server.start()
    try:
        url = ours.recv()
        flags = ("--rate", rate, "--max-seconds", "5")
        with tempfile.TemporaryDirectory() as runs, load(url, Path(runs), *flags) as run:
            run.end()
            return run.lines[-1]
    finally:
        ours.send("stop")
        server.join(20)


def _serve(pipe: Connection) -> None:
    with served() as stub:
        pipe.send(stub.url)
        pipe.recv()


if __name__ == "__main__":
    print(measure(sys.argv[1] if sys.argv[1:] else "1000"))
