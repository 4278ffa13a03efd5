"""The ways in which a variant of the app behaves badly, asked for by `APP_FAULTS`.

Each shows that it fired, by a line `{"e":"fault","fault":..}` of the app's log for each time. `chosen` has their names,
`requests` what befalls a request, `process` what befalls the whole process.
"""

from sample_app.faults.chosen import Chosen, Fault, FaultError, fired, read
from sample_app.faults.process import Fuse, crash_or_delay, is_down, on_sigterm
from sample_app.faults.requests import AskedForError, Connections, Mishaps

__all__ = [
    "AskedForError",
    "Chosen",
    "Connections",
    "Fault",
    "FaultError",
    "Fuse",
    "Mishaps",
    "crash_or_delay",
    "fired",
    "is_down",
    "on_sigterm",
    "read",
]
