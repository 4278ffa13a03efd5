"""The self-checking body: a cut, padded or foreign answer fails one of its three checks."""

import json
from dataclasses import dataclass

from loadtest.outcomes import Flaw, Kind, contract, truncated

_HEAD = b'{"request_id":'
_END = b'"end":"."}'
_KEYS = {
    "data": ["request_id", "version", "replica", "data", "length", "end"],
    "error": ["request_id", "version", "replica", "error", "length", "end"],
}
_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    version: str
    replica: str
    data: object
    error: object


def unseal(body: bytes, *, request_id: str) -> Envelope | Flaw:
    """What the body holds, if it is whole and answers this very request."""
    parsed = _parse(body)
    if isinstance(parsed, Flaw):
        return parsed
    keys = list(parsed)
    if keys not in _KEYS.values():
        return _wrong(f"the body has the keys {keys}, not {_KEYS['data']}")
    length = parsed["length"]
    if not (isinstance(length, str) and len(length) == _DIGITS and length.isdecimal()):
        return _wrong(f"the body's length is {length!r}, not eight digits")
    if int(length) != len(body):
        return _wrong(f"the body has {len(body)} bytes and says {int(length)}")
    if parsed["request_id"] != request_id:
        return contract(Kind.WRONG_ID, f"the answer is to request {parsed['request_id']!r}")
    version, replica = parsed["version"], parsed["replica"]
    if not isinstance(version, str) or not isinstance(replica, str):
        return _wrong(f"version {version!r} and replica {replica!r} must be text")
    return Envelope(version=version, replica=replica, data=parsed.get("data"), error=parsed.get("error"))


def _parse(body: bytes) -> dict[str, object] | Flaw:
    if not body.endswith(_END) and _may_be_a_beginning(body):
        return truncated(Kind.CUT_INSIDE, f"the body stops after {len(body)} bytes")
    try:
        parsed = json.loads(body)
    except ValueError as error:
        return _wrong(f"the body is not JSON: {error}")
    if not isinstance(parsed, dict):
        return _wrong("the body is not a JSON object")
    return parsed


def _may_be_a_beginning(body: bytes) -> bool:
    """Tell the start of an envelope from a whole one with something behind it, and from something else."""
    if not body.startswith(_HEAD):
        return _HEAD.startswith(body)
    try:
        json.JSONDecoder().raw_decode(body.decode(errors="replace"))
    except ValueError:
        return True
    return False


def _wrong(detail: str) -> Flaw:
    return contract(Kind.WRONG_BODY, detail)
