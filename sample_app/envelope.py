"""The self-checking body: an answer that is cut, padded or another request's is seen to be so."""

import json
from dataclasses import dataclass
from typing import Any

_LENGTH_DIGITS = 8
_END = b'"end":"."}'
_KEYS = ("request_id", "version", "replica", "length", "end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who answers."""

    version: str
    replica: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A body that proved to be whole: exactly one of `data` and `error` was in it."""

    request_id: str
    sender: Sender
    data: Any = None
    error: Any = None


class BrokenBodyError(ValueError):
    """The bytes are not one whole answer to the request that was sent."""


def seal(*, request_id: str, sender: Sender, data: Any = None, error: Any = None) -> bytes:
    content = {"error": error} if error is not None else {"data": data}
    head = {"request_id": request_id, "version": sender.version, "replica": sender.replica, **content}
    # ASCII only: one character is one byte, and no client's lone surrogate can break the encoding
    opening = json.dumps(head, separators=(",", ":"), allow_nan=False)[:-1] + ',"length":"'
    length = len(opening) + _LENGTH_DIGITS + len('",') + len(_END)
    return f'{opening}{length:0{_LENGTH_DIGITS}d}",'.encode("ascii") + _END


def unseal(body: bytes, *, request_id: str) -> Opened:
    """Return what a whole answer to `request_id` holds; raise `BrokenBodyError` for anything else."""
    if not body.endswith(_END):
        raise BrokenBodyError("the end marker is missing")
    try:
        found = json.loads(body)
    except ValueError as error:
        raise BrokenBodyError(f"not JSON: {error}") from None
    if not isinstance(found, dict) or any(not isinstance(found.get(key), str) for key in _KEYS):
        raise BrokenBodyError("not an answer of the app")
    if found["length"] != f"{len(body):0{_LENGTH_DIGITS}d}":
        raise BrokenBodyError(f"{len(body)} bytes came, the body says {found['length']}")
    if found["request_id"] != request_id:
        raise BrokenBodyError(f"the answer to another request, {found['request_id']}")
    if ("data" in found) == ("error" in found):
        raise BrokenBodyError("needs data or error, and not both")
    sender = Sender(version=found["version"], replica=found["replica"])
    return Opened(request_id=request_id, sender=sender, data=found.get("data"), error=found.get("error"))
