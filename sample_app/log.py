"""The app log: JSON lines on stdout, which outlive the process (docs/reference/schemas/app-log.schema.json).

A request with a `begin` and no `end` was begun and not answered: `end` is written only once the whole answer was
handed to the operating system, so neither a killed process nor a client that left first has one.
"""

import json
import os
import time
from typing import Any

_STDOUT = 1


def write(event: str, **fields: Any) -> None:
    line = json.dumps({"e": event, **fields, "t": time.monotonic_ns()}, separators=(",", ":")) + "\n"
    # one call, no buffer: a process that dies right after has still said it
    os.write(_STDOUT, line.encode("ascii"))
