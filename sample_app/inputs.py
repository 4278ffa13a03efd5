"""Requests' bodies and queries -> checked values. Nothing here knows HTTP or SQL."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sample_app.app_code import Code, Columns, Cursor

MOST_TEXT = 500
MOST_PAGE = 200
MOST_ID = 2**63 - 1
MOST_SECONDS = 30.0
MOST_EVENTS = 1_000_000
MOST_INTERVAL_MS = 60_000

_MARK = "c-"
_NAMES = ("first_name", "last_name", "recipient_name")


class BadInputError(ValueError):
    """The request cannot be meant; the message says what to send instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A piece of the list of parcels."""

    after: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """How many events, None for as many as someone takes, and the seconds between two of them."""

    events: int | None
    interval: float


def new_parcel(raw: bytes, code: Code) -> Columns:
    body = _json_object(raw)
    columns = _columns(body, ("key", "address"), code)
    missing = [name for name, value in columns.items() if value is None]
    if missing:
        raise BadInputError(f"needs {', '.join(missing)}")
    return columns


def changes(raw: bytes, code: Code) -> Columns:
    """Columns to write, `None` for those to leave as they are."""
    columns = _columns(_json_object(raw), ("address", "status"), code)
    if all(value is None for value in columns.values()):
        raise BadInputError(f"needs any of {', '.join((*code.recipient_fields, 'address', 'status'))}")
    return columns


def page(query: Mapping[str, str], cursor: Cursor = Cursor.ID) -> Page:
    text = query.get("after", "0")
    marked = text.startswith(_MARK) and cursor is not Cursor.ID
    if cursor is Cursor.OPAQUE and text != "0" and not marked:
        raise BadInputError(f"after must be what a page named as next: {_MARK}..")
    after = _whole_number("after", text.removeprefix(_MARK) if marked else text, least=0, most=MOST_ID)
    return Page(after=after, limit=_whole_number("limit", query.get("limit", "50"), least=1, most=MOST_PAGE))


def cursor(last: int, kind: Cursor) -> int | str:
    """What names the page after the one that ends with this id."""
    return f"{_MARK}{last}" if kind is Cursor.OPAQUE else last


def seconds(query: Mapping[str, str]) -> float:
    try:
        number = float(query.get("seconds", ""))
    except ValueError:
        number = -1.0
    if not 0 <= number <= MOST_SECONDS:
        raise BadInputError(f"seconds must be a number from 0 to {MOST_SECONDS:g}")
    return number


def stream(query: Mapping[str, str]) -> Stream:
    events = _whole_number("events", query["events"], least=1, most=MOST_EVENTS) if "events" in query else None
    interval = _whole_number("interval_ms", query.get("interval_ms", "100"), least=0, most=MOST_INTERVAL_MS)
    return Stream(events=events, interval=interval / 1000)


def _columns(body: Mapping[str, Any], fields: tuple[str, ...], code: Code) -> Columns:
    for name, pattern in code.takes.items():
        if isinstance(body.get(name), str) and not pattern.search(body[name]):
            raise BadInputError(f"{name} must match {pattern.pattern}")
    recipient = {name: _text(name, body[name]) for name in code.recipient_fields if name in body}
    others = {name: _text(name, body[name]) if name in body else None for name in fields}
    return {**others, **code.recipient_columns(recipient)}


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BadInputError("the body must be a JSON object")
    return body


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadInputError(f"{name} must be a string")
    text = value.strip() if name in _NAMES else value
    # a person may have one name only: then last_name is empty, but nothing else may be
    if not text.strip() and name != "last_name":
        raise BadInputError(f"{name} must not be empty")
    if len(text) > MOST_TEXT or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInputError(f"{name} must be at most {MOST_TEXT} characters that PostgreSQL can store")
    return text


def _whole_number(name: str, text: str, *, least: int, most: int) -> int:
    # isdecimal alone lets other scripts' digits and endless numbers through
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else -1
    if not least <= number <= most:
        raise BadInputError(f"{name} must be a whole number from {least} to {most}")
    return number
