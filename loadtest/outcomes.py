"""What can become of a request, from the user's side, and how a broken exchange is told apart from another."""

import errno
import socket
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    RESET = "reset"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    TRUNCATED = "truncated"
    CONTRACT = "contract"
    NOT_SENT = "not_sent"
    CLIENT_ABORT = "client_abort"


OURS = frozenset({Outcome.NOT_SENT, Outcome.CLIENT_ABORT})
"""Outcomes that say something about the load, and nothing about the system under test."""


class Phase(StrEnum):
    CONNECTING = "connecting"
    SENDING = "sending"
    WAITING = "waiting for the first byte"
    HEADER = "inside the header"
    BODY = "inside the body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    outcome: Outcome
    detail: str


# Our own machine ran short: the system under test was never asked, and must not be blamed.
_OUR_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def flaw_of_error(phase: Phase, error: OSError) -> Flaw:
    detail = f"{phase}: {error}"
    if phase is not Phase.CONNECTING:
        return Flaw(outcome=_cut(phase), detail=detail)
    if not isinstance(error, socket.gaierror) and error.errno in _OUR_SHORTAGES:
        return Flaw(outcome=Outcome.NOT_SENT, detail=detail)
    return Flaw(outcome=Outcome.REFUSED, detail=detail)


def flaw_of_close(phase: Phase) -> Flaw:
    return Flaw(outcome=_cut(phase), detail=f"{phase}: the connection was closed")


def flaw_of_deadline(phase: Phase) -> Flaw:
    return Flaw(outcome=Outcome.TIMEOUT, detail=f"{phase}: no complete answer by the deadline")


def _cut(phase: Phase) -> Outcome:
    return Outcome.TRUNCATED if phase in {Phase.HEADER, Phase.BODY} else Outcome.RESET
