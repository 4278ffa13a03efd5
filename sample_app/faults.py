"""The ways in which a variant of the app behaves badly, asked for by `APP_FAULTS`."""

import asyncio
import itertools
import os
from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn

from sample_app import log

SECONDS_TO_LIVE = 2.0
DEATH_CODE = 3
ERROR_EVERY = 3


class Fault(StrEnum):
    """`never-ready` and `checks-schema` are read in readiness.py."""

    NEVER_READY = "never-ready"
    EXITS_AT_ONCE = "exits-at-once"
    CHECKS_SCHEMA = "checks-schema"
    DIES_AFTER_READY = "dies-after-ready"
    ANSWERS_ERRORS = "answers-errors"


class AskedForError(Exception):
    """What `answers-errors` answers instead of an answer."""


def exit_at_once() -> NoReturn:
    """End as an app does that never heard of SIGTERM: requests in flight are cut, and the exit looks clean."""
    _exit(Fault.EXITS_AT_ONCE, 0)


class Fuse:
    """Ends the process some time after it first said that it is ready: its readiness is beyond reproach."""

    def __init__(self, chosen: frozenset[Fault]) -> None:
        self._waits = Fault.DIES_AFTER_READY in chosen

    def told_ready(self) -> None:
        if self._waits:
            self._waits = False
            asyncio.get_running_loop().call_later(SECONDS_TO_LIVE, _exit, Fault.DIES_AFTER_READY, DEATH_CODE)


def stumbling(chosen: frozenset[Fault]) -> Callable[[], None]:
    """Return what raises at every third call, if that was asked for: which request it meets is no request's doing."""
    numbers = itertools.count(1)

    def step() -> None:
        if Fault.ANSWERS_ERRORS in chosen and next(numbers) % ERROR_EVERY == 0:
            raise AskedForError(f"fault {Fault.ANSWERS_ERRORS}: every request of {ERROR_EVERY} is answered so")

    return step


def _exit(fault: Fault, code: int) -> NoReturn:
    log.write("exit", detail=f"fault {fault}")
    os._exit(code)
