"""The code of a version by its name: `v1`, `v2`, or a scenario's, `CHANGE/FORM/VERSION`.

A scenario's version is a TOML file in scenarios/CHANGE/FORM/, or in scenarios/CHANGE/ where its forms share it. What
the file does not say is as in V1; what its statements return is what the API answers. The text may also stand in
`APP_CODE_TEXT`; then APP_CODE is a name of one's own.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from sample_app import v1, v2
from sample_app.app_code import Code, Cursor, Driver, Fields, Row
from sample_app.settings import SettingsError

SCENARIOS = Path(__file__).parent / "scenarios"
_OWN = {"v1": v1.CODE, "v2": v2.CODE}
_STATEMENTS = ("insert", "by_key", "by_id", "page", "update")
_ANSWERS = {name: "integer" if name == "id" else "string" for name in v1.CODE.columns}
_NOT_THERE = "none"
_KEYS = frozenset({"statements", "answers", "takes", "knows", "cursor", "driver"})
_PATH = re.compile(r"([a-z0-9-]+)/([a-z0-9-]+)/([a-z0-9-]+)")


class UnknownValueError(ValueError):
    """A row holds what the code was never told of."""


def code_of(name: str, text: str | None = None) -> Code:
    """SettingsError if there is no such version, or what it says cannot be used."""
    if text is not None:
        return _read(name, name, text, "APP_CODE_TEXT")
    if name in _OWN:
        return _OWN[name]
    parts = _PATH.fullmatch(name)
    change, form, version = parts.groups() if parts else ("", "", "")
    places = (SCENARIOS / change / form / f"{version}.toml", SCENARIOS / change / f"{version}.toml")
    file = next((place for place in places if parts and place.is_file()), None)
    if file is None:
        raise SettingsError(f"APP_CODE is {name!r}; it may be {', '.join(_OWN)} or CHANGE/FORM/VERSION of scenarios/")
    return _read(name, version, file.read_text(), file.name)


def read_code(name: str, text: str) -> Code:
    """ValueError for a key that means nothing."""
    said = tomllib.loads(text)
    statements = said.get("statements", {})
    strange = (said.keys() - _KEYS) | (statements.keys() - set(_STATEMENTS))
    if strange:
        raise ValueError(f"{', '.join(sorted(strange))} means nothing here")
    knows = {column: frozenset(values) for column, values in said.get("knows", {}).items()}
    kept = {field.name: getattr(v1.CODE, field.name) for field in fields(Code)}
    return Code(
        **{
            **kept,
            **statements,
            "name": name,
            "columns": (),
            "recipient_columns": _recipient,
            "parcel": lambda row: _understood(row, knows),
            "answers": {n: t for n, t in {**_ANSWERS, **said.get("answers", {})}.items() if t != _NOT_THERE},
            "takes": {field: re.compile(pattern) for field, pattern in said.get("takes", {}).items()},
            "knows": knows,
            "cursor": Cursor(said.get("cursor", "id")),
            "driver": Driver(**said.get("driver", {})),
        }
    )


def _read(asked: str, name: str, text: str, where: str) -> Code:
    try:
        return read_code(name, text)
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"APP_CODE is {asked!r}; {where} cannot be used: {error}") from error


def _recipient(given: Fields) -> Mapping[str, str | None]:
    return {"recipient_name": given.get("recipient_name")}


def _understood(row: Row, knows: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    for column, values in knows.items():
        if row[column] not in values:
            raise UnknownValueError(f"{column} is {row[column]!r}, which is none of {', '.join(sorted(values))}")
    return dict(row)
