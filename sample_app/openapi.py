"""`GET /openapi.json`: what this version takes and answers, made from its code; a test holds real answers to it."""

from collections.abc import Iterable, Mapping
from typing import Any

from sample_app import v1
from sample_app.app_code import Code, Cursor
from sample_app.inputs import MOST_PAGE, MOST_TEXT

Json = dict[str, Any]

_TEXT: Json = {"type": "string", "maxLength": MOST_TEXT}
_FILLED: Json = {**_TEXT, "minLength": 1}


def document(code: Code) -> Json:
    schemas = {
        "Parcel": _parcel(code),
        "Page": _object({"items": {"type": "array", "items": _ref("Parcel")}, "next": _next(code)}),
        "NewParcel": _new_parcel(code),
        "Changes": _changes(code),
        "Error": _object({"code": {"type": "string"}, "message": {"type": "string"}}),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "parcels", "version": code.name},
        "paths": _paths(code),
        "components": {"schemas": schemas},
    }


def _parcel(code: Code) -> Json:
    """Whoever reads a field that V1's answers have not must be able to do without: a roll has both."""
    types = code.answers or {n: "integer" if n == "id" else "string" for n in _shown(code)}
    required = [name for name in types if not code.answers or name in v1.CODE.columns]
    properties = {name: {"type": type} for name, type in types.items()}
    return {"type": "object", "required": required, "properties": properties}


def _shown(code: Code) -> Iterable[str]:
    return code.parcel(dict.fromkeys(code.columns, "x"))


def _after(code: Code) -> Json:
    """Of a cursor that no version gives out yet nothing is said, although it is taken: nobody is to send it."""
    own: Json = {"type": "string", "pattern": "^c-"}
    return own if code.cursor is Cursor.OPAQUE else {"type": "integer", "minimum": 0}


def _next(code: Code) -> Json:
    return {"type": ["string" if code.cursor is Cursor.OPAQUE else "integer", "null"]}


def _field(code: Code, name: str) -> Json:
    """A text of a request, as this version takes it."""
    text = _TEXT if name == "last_name" else _FILLED
    return {**text, "pattern": code.takes[name].pattern} if name in code.takes else text


def _paths(code: Code) -> Json:
    page = [
        _parameter("query", "after", _after(code)),
        _parameter("query", "limit", {"type": "integer", "minimum": 1, "maximum": MOST_PAGE}),
    ]
    created = {"201": _answer(_ref("Parcel")), "200": _answer(_ref("Parcel")), "400": _error()}
    found = {"200": _answer(_ref("Parcel")), "404": _error()}
    one = {**_parameter("path", "id", {"type": "integer"}), "required": True}
    return {
        "/parcels": {
            "post": {"requestBody": _body("NewParcel"), "responses": created},
            "get": {"parameters": page, "responses": {"200": _answer(_ref("Page")), "400": _error()}},
        },
        "/parcels/{id}": {
            "parameters": [one],
            "get": {"responses": found},
            "patch": {"requestBody": _body("Changes"), "responses": {**found, "400": _error()}},
        },
    }


def _new_parcel(code: Code) -> Json:
    """V2 takes a name in either shape: its two fields, or the whole one that V1's clients send."""
    names = {name: _field(code, name) for name in code.recipient_fields}
    own = [name for name in code.recipient_fields if name != "recipient_name"]
    schema: Json = {"type": "object", "required": ["key", "address"]}
    schema["properties"] = {"key": _field(code, "key"), **names, "address": _field(code, "address")}
    for name in code.takes.keys() & schema["properties"].keys():
        schema["properties"][name] = {**schema["properties"][name], "pattern": code.takes[name].pattern}
    shapes = [{"required": ["recipient_name"]}] + ([{"required": own}] if own else [])
    return {**schema, "anyOf": shapes} if own else {**schema, "required": ["key", "recipient_name", "address"]}


def _changes(code: Code) -> Json:
    names = {name: _field(code, name) for name in code.recipient_fields}
    others = {name: _field(code, name) for name in ("address", "status")}
    return {"type": "object", "minProperties": 1, "properties": {**names, **others}}


def _body(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": _ref(schema)}}}


def _answer(data: Json) -> Json:
    return _sealed("data", data)


def _error() -> Json:
    return _sealed("error", _ref("Error"))


def _sealed(key: str, schema: Json) -> Json:
    text = {name: {"type": "string"} for name in ("request_id", "version", "replica")}
    whole = _object({**text, key: schema, "length": {"type": "string"}, "end": {"const": "."}})
    return {"description": key, "content": {"application/json": {"schema": whole}}}


def _parameter(where: str, name: str, schema: Json) -> Json:
    return {"in": where, "name": name, "schema": schema}


def _object(properties: Mapping[str, Json]) -> Json:
    return {"type": "object", "required": list(properties), "properties": dict(properties)}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
