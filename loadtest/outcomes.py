"""What can become of a request, from the user's side, and how a broken exchange is told apart from another."""

import errno
import socket
from dataclasses import dataclass
from enum import StrEnum

from loadtest.mixes import Mix


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
    CUT = "cut"


OURS = frozenset({Outcome.NOT_SENT, Outcome.CLIENT_ABORT})
"""Outcomes that say something about the load, and nothing about the system under test."""


class Kind(StrEnum):
    """The finer name of what went wrong: each is one thing a server, a network or the load can do."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    NO_ANSWER = "no-answer"
    RESET = "reset"
    CLOSED = "closed"
    CUT_HEADER = "cut-header"
    CUT_LENGTH = "cut-length"
    CUT_CHUNKED = "cut-chunked"
    CUT_CLOSE_DELIMITED = "cut-close-delimited"
    CUT_INSIDE = "cut-inside"
    CUT_WEBSOCKET = "cut-websocket"
    TIMEOUT_CONNECTING = "timeout-connecting"
    TIMEOUT_WAITING = "timeout-waiting"
    TIMEOUT_HEADER = "timeout-header"
    TIMEOUT_BODY = "timeout-body"
    SERVER_ERROR = "server-error"
    PROXY_ERROR = "proxy-error"
    NOT_HTTP = "not-http"
    WRONG_STATUS = "wrong-status"
    WRONG_BODY = "wrong-body"
    WRONG_ID = "wrong-id"
    WRONG_SENDER = "wrong-sender"
    WRONG_SHAPE = "wrong-shape"
    WRONG_CONTENT = "wrong-content"
    WRONG_CLOSE = "wrong-close"
    NO_ROOM = "no-room"
    TOO_LATE = "too-late"
    OUT_OF_SOCKETS = "out-of-sockets"
    ABORTED = "aborted"
    CUT = "cut"
    CUT_AND_GONE = "cut-and-gone"


class Phase(StrEnum):
    CONNECTING = "connecting"
    SENDING = "sending"
    WAITING = "waiting for the first byte"
    HEADER = "inside the header"
    BODY = "inside the body"


class Framing(StrEnum):
    """How an answer's end is told; what a cut of its body is called."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """`mix`: what a mix of versions did to the data, where that is what is wrong."""

    outcome: Outcome
    kind: Kind
    detail: str
    mix: Mix | None = None


# Our own machine ran short: the system under test was never asked, and must not be blamed.
_OUR_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
_NO_ANSWER = frozenset({Kind.REFUSED, Kind.UNREACHABLE, Kind.RESET, Kind.CLOSED})
_CUTS = {
    Framing.LENGTH: Kind.CUT_LENGTH,
    Framing.CHUNKED: Kind.CUT_CHUNKED,
    Framing.CLOSE: Kind.CUT_CLOSE_DELIMITED,
    Framing.WEBSOCKET: Kind.CUT_WEBSOCKET,
}
_TIMEOUTS = {
    Phase.CONNECTING: Kind.TIMEOUT_CONNECTING,
    Phase.HEADER: Kind.TIMEOUT_HEADER,
    Phase.BODY: Kind.TIMEOUT_BODY,
}


def flaw_of_error(phase: Phase, error: OSError, framing: Framing = Framing.CLOSE) -> Flaw:
    detail = f"{phase}: {error}"
    if phase is not Phase.CONNECTING:
        return _cut(phase, framing, detail, Kind.RESET)
    if not isinstance(error, socket.gaierror) and error.errno in _OUR_SHORTAGES:
        return Flaw(outcome=Outcome.NOT_SENT, kind=Kind.OUT_OF_SOCKETS, detail=detail)
    kind = Kind.REFUSED if error.errno == errno.ECONNREFUSED else Kind.UNREACHABLE
    return Flaw(outcome=Outcome.REFUSED, kind=kind, detail=detail)


def flaw_of_close(phase: Phase, framing: Framing = Framing.CLOSE) -> Flaw:
    return _cut(phase, framing, f"{phase}: the connection was closed", Kind.CLOSED)


def flaw_of_deadline(phase: Phase) -> Flaw:
    kind = _TIMEOUTS.get(phase, Kind.TIMEOUT_WAITING)
    return Flaw(outcome=Outcome.TIMEOUT, kind=kind, detail=f"{phase}: no complete answer by the deadline")


def seen_through_a_published_port(flaw: Flaw) -> Flaw:
    """Docker's forwarder accepts for a replica that is gone, and then resets: refused and reset are one class."""
    if flaw.kind not in _NO_ANSWER:
        return flaw
    return Flaw(outcome=Outcome.RESET, kind=Kind.NO_ANSWER, detail=flaw.detail)


def contract(kind: Kind, detail: str, mix: Mix | None = None) -> Flaw:
    return Flaw(outcome=Outcome.CONTRACT, kind=kind, detail=detail, mix=mix)


def truncated(kind: Kind, detail: str) -> Flaw:
    return Flaw(outcome=Outcome.TRUNCATED, kind=kind, detail=detail)


def _cut(phase: Phase, framing: Framing, detail: str, before_the_first_byte: Kind) -> Flaw:
    if phase is Phase.HEADER:
        return truncated(Kind.CUT_HEADER, detail)
    if phase is Phase.BODY:
        return truncated(_CUTS[framing], detail)
    return Flaw(outcome=Outcome.RESET, kind=before_the_first_byte, detail=detail)
