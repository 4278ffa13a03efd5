"""Is this the one correct answer? Every reply passes here; nothing is sampled."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from loadtest.envelope import Envelope, unseal
from loadtest.messages import NOTHING, Broken, Reply, Trace
from loadtest.mixes import Fault, Mix
from loadtest.outcomes import Flaw, Framing, Kind, Outcome, contract, truncated

Check = Callable[[Any, str], Flaw | str | None]
"""(data, version that answered) -> what is wrong, or None. Of an answer that is not sealed, data is the Reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """`sealed`: the body is the self-checking one; otherwise only the HTTP message says whether it is whole.

    writer: the version that last wrote what is asked for, where that is known.
    """

    request_id: str
    statuses: frozenset[int]
    check: Check
    sealed: bool = True
    writer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    outcome: Outcome
    kind: Kind | None = None
    status: int | None = None
    version: str | None = None
    replica: str | None = None
    trace: Trace = NOTHING
    size: int = 0
    reason: str | None = None
    error: str | None = None
    detail: str | None = None
    data: object = None
    writer: str | None = None
    mix: Mix | None = None


def judge(reply: Reply | Broken, expected: Expected) -> Judgement:
    if isinstance(reply, Broken):
        return verdict(reply, reply.flaw)
    read = _read(reply, expected)
    if isinstance(read, Flaw):
        flaw = replace(read, mix=_mix(reply, read, expected))
        return verdict(reply, flaw, data=None if expected.sealed else reply, writer=expected.writer)
    return verdict(reply, None, data=read.data, writer=expected.writer)


def verdict(
    reply: Reply | Broken, flaw: Flaw | None, *, data: object = None, size: int = 0, writer: str | None = None
) -> Judgement:
    """Whose answer it was, and what is wrong with it."""
    return Judgement(
        outcome=flaw.outcome if flaw else Outcome.OK,
        kind=flaw.kind if flaw else None,
        status=reply.status,
        version=reply.headers.get("x-lab-version"),
        replica=reply.headers.get("x-lab-replica"),
        trace=reply.trace,
        size=len(reply.body) if isinstance(reply, Reply) and not size else size,
        reason=reply.headers.get("x-lab-proxy"),
        error=reply.headers.get("x-lab-error"),
        detail=flaw.detail if flaw else None,
        data=data,
        writer=writer,
        mix=flaw.mix if flaw else None,
    )


def refused_by_status(reply: Reply, expected: Expected) -> Flaw | None:
    maker = reply.headers.get("x-lab-proxy")
    detail = f"status {reply.status}" + (f", made by the proxy: {maker}" if maker else _said(reply, expected))
    if reply.status in expected.statuses and maker is None:
        return None
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = Kind.PROXY_ERROR if maker else Kind.SERVER_ERROR
        return Flaw(outcome=Outcome.SERVER_ERROR, kind=kind, detail=detail)
    return contract(Kind.WRONG_STATUS, detail)


def names_differ(reply: Reply | Broken, envelope: Envelope) -> Flaw | None:
    header = (reply.headers.get("x-lab-version"), reply.headers.get("x-lab-replica"))
    body = (envelope.version, envelope.replica)
    return None if header == body else contract(Kind.WRONG_SENDER, f"the header names {header} and the body {body}")


@dataclass(frozen=True, slots=True)
class _Whole:
    data: object


def _read(reply: Reply, expected: Expected) -> _Whole | Flaw:
    refusal = refused_by_status(reply, expected)
    if refusal is not None:
        return refusal
    if not expected.sealed:
        problem = _as_flaw(expected.check(reply, reply.headers.get("x-lab-version", "")))
        return problem or _Whole(reply)
    envelope = unseal(reply.body, request_id=expected.request_id)
    if isinstance(envelope, Flaw):
        return _named(envelope, reply.framing)
    problem = names_differ(reply, envelope) or _as_flaw(expected.check(envelope.data, envelope.version))
    return problem or _Whole(envelope.data)


def _named(flaw: Flaw, framing: Framing) -> Flaw:
    """A body that ends with its connection is whole to HTTP wherever it is cut: only its seal tells."""
    if flaw.kind is Kind.CUT_INSIDE and framing is Framing.CLOSE:
        return truncated(Kind.CUT_CLOSE_DELIMITED, flaw.detail)
    return flaw


def _mix(reply: Reply, flaw: Flaw, expected: Expected) -> Mix | None:
    """The mix of versions behind it. The check of an answer knows best; who wrote is known to whoever asks."""
    if flaw.mix is not None:
        return replace(flaw.mix, writer=flaw.mix.writer or expected.writer)
    by_app = "x-lab-proxy" not in reply.headers and "x-lab-version" in reply.headers
    refused = "x-lab-error" in reply.headers or flaw.kind is Kind.WRONG_STATUS
    if by_app and refused:
        return Mix(fault=Fault.ERROR, writer=expected.writer)
    return Mix(fault=Fault.SHAPE, writer=expected.writer) if by_app and flaw.kind is Kind.WRONG_SHAPE else None


def _as_flaw(problem: Flaw | str | None) -> Flaw | None:
    return contract(Kind.WRONG_CONTENT, problem) if isinstance(problem, str) and problem else problem or None


def _said(reply: Reply, expected: Expected) -> str:
    envelope = unseal(reply.body, request_id=expected.request_id)
    if isinstance(envelope, Envelope) and isinstance(envelope.error, dict):
        return f": {envelope.error.get('code')} {envelope.error.get('message')}"
    return ""
