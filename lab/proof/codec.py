"""A verdict to JSON and back, by docs/reference/schemas/verdict.schema.json.

The record's own fields are the keys. A key that this lab does not know is skipped.
"""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from lab.proof.result import CODES, Class, Verdict

SCHEMA = "lab.verdict/1"


class UnknownVerdictError(ValueError):
    """The JSON is no verdict that this lab can read."""


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    encoded = {"schema": SCHEMA, **encode(verdict)}
    for drop in encoded["drops"]:
        drop["code"] = CODES[Class(drop["cls"])]
    return encoded


def verdict_from_json(encoded: Mapping[str, Any]) -> Verdict:
    found = encoded.get("schema")
    if found != SCHEMA:
        raise UnknownVerdictError(f"this is {found!r}, not {SCHEMA!r}: it was written by another lab")
    try:
        verdict: Verdict = _decode(Verdict, encoded)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnknownVerdictError(f"the stored verdict cannot be read: {error!r}") from error
    return verdict


def encode(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    return value


def _decode(kind: Any, value: Any) -> Any:
    """The value as `kind` says; ValueError and its like where it is something else."""
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        return None if value is None else _decode(get_args(kind)[0], value)
    if origin is tuple:
        return tuple(_decode(get_args(kind)[0], item) for item in value)
    if origin is not None:  # a mapping: nothing else generic stands in a verdict
        key_kind, value_kind = get_args(kind)
        return {_decode(key_kind, key): _decode(value_kind, item) for key, item in value.items()}
    return _record(kind, value) if is_dataclass(kind) else _plain(kind, value)


def _record(kind: Any, value: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    return kind(**{name: _decode(hint, value[name]) for name, hint in hints.items() if name in value})


def _plain(kind: type, value: Any) -> Any:
    if issubclass(kind, StrEnum):
        return kind(value)
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
