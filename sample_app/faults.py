"""The ways in which a variant of the app behaves badly, asked for by `APP_FAULTS`."""

import os
from enum import StrEnum
from typing import NoReturn

from sample_app import log


class Fault(StrEnum):
    """`never-ready` and `checks-schema` are read in readiness.py."""

    NEVER_READY = "never-ready"
    EXITS_AT_ONCE = "exits-at-once"
    CHECKS_SCHEMA = "checks-schema"


def exit_at_once() -> NoReturn:
    """End as an app does that never heard of SIGTERM: requests in flight are cut, and the exit looks clean."""
    log.write("exit", detail=f"fault {Fault.EXITS_AT_ONCE}")
    os._exit(0)
