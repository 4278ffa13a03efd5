"""Is this the one correct answer? Every reply passes here; nothing is sampled."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from loadtest.envelope import Envelope, unseal
from loadtest.messages import Broken, Reply
from loadtest.outcomes import Flaw, Outcome

Check = Callable[[object, str], str | None]
"""(data, version that answered) -> what is wrong with it, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    request_id: str
    statuses: frozenset[int]
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    outcome: Outcome
    status: int | None = None
    version: str | None = None
    replica: str | None = None
    first_byte: int | None = None
    size: int = 0
    reason: str | None = None
    error: str | None = None
    detail: str | None = None
    data: object = None


def judge(reply: Reply | Broken, expected: Expected) -> Judgement:
    if isinstance(reply, Broken):
        return Judgement(outcome=reply.flaw.outcome, first_byte=reply.first_byte, detail=reply.flaw.detail)
    verdict = _read(reply, expected)
    flaw = verdict if isinstance(verdict, Flaw) else None
    return Judgement(
        outcome=flaw.outcome if flaw else Outcome.OK,
        status=reply.status,
        version=reply.headers.get("x-lab-version"),
        replica=reply.headers.get("x-lab-replica"),
        first_byte=reply.first_byte,
        size=len(reply.body),
        reason=reply.headers.get("x-lab-proxy"),
        error=reply.headers.get("x-lab-error"),
        detail=flaw.detail if flaw else None,
        data=verdict.data if isinstance(verdict, Envelope) else None,
    )


def _read(reply: Reply, expected: Expected) -> Envelope | Flaw:
    refusal = _refused_by_status(reply, expected)
    if refusal is not None:
        return refusal
    envelope = unseal(reply.body, request_id=expected.request_id)
    if isinstance(envelope, Flaw):
        return envelope
    problem = _names_differ(reply, envelope) or expected.check(envelope.data, envelope.version)
    return Flaw(outcome=Outcome.CONTRACT, detail=problem) if problem else envelope


def _refused_by_status(reply: Reply, expected: Expected) -> Flaw | None:
    maker = reply.headers.get("x-lab-proxy")
    detail = f"status {reply.status}" + (f", made by the proxy: {maker}" if maker else _said(reply, expected))
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR or reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Flaw(outcome=Outcome.SERVER_ERROR, detail=detail)
    if maker is not None or reply.status not in expected.statuses:
        return Flaw(outcome=Outcome.CONTRACT, detail=detail)
    return None


def _said(reply: Reply, expected: Expected) -> str:
    envelope = unseal(reply.body, request_id=expected.request_id)
    if isinstance(envelope, Envelope) and isinstance(envelope.error, dict):
        return f": {envelope.error.get('code')} {envelope.error.get('message')}"
    return ""


def _names_differ(reply: Reply, envelope: Envelope) -> str | None:
    header = (reply.headers.get("x-lab-version"), reply.headers.get("x-lab-replica"))
    if header != (envelope.version, envelope.replica):
        return f"the header names {header} and the body {(envelope.version, envelope.replica)}"
    return None
