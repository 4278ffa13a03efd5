"""`GET /openapi.json`: what this version takes and answers, made from its code; a test holds real answers to it."""

from collections.abc import Mapping
from typing import Any

from sample_app.app_code import Code
from sample_app.inputs import MOST_PAGE, MOST_TEXT

Json = dict[str, Any]

_TEXT: Json = {"type": "string", "maxLength": MOST_TEXT}
_FILLED: Json = {**_TEXT, "minLength": 1}


def document(code: Code) -> Json:
    shown = tuple(code.answers) or tuple(code.parcel(dict.fromkeys(code.columns, "x")))
    parcel: Json = {
        "type": "object",
        "required": list(shown),
        "properties": {name: _column(code, name) for name in shown},
    }
    schemas = {
        "Parcel": parcel,
        "Page": _object({"items": {"type": "array", "items": _ref("Parcel")}, "next": {"type": ["integer", "null"]}}),
        "NewParcel": _new_parcel(code),
        "Changes": _changes(code),
        "Error": _object({"code": {"type": "string"}, "message": {"type": "string"}}),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "parcels", "version": code.name},
        "paths": _paths(),
        "components": {"schemas": schemas},
    }


def _column(code: Code, name: str) -> Json:
    if name in code.knows:
        return {"enum": sorted(code.knows[name])}
    return {"type": code.answers.get(name, "integer" if name == "id" else "string")}


def _paths() -> Json:
    page = [
        _parameter("query", "after", {"type": "integer", "minimum": 0}),
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
    names = {name: _TEXT if name == "last_name" else _FILLED for name in code.recipient_fields}
    own = [name for name in code.recipient_fields if name != "recipient_name"]
    schema: Json = {"type": "object", "required": ["key", "address"]}
    schema["properties"] = {"key": _FILLED, **names, "address": _FILLED}
    for name in code.takes.keys() & schema["properties"].keys():
        schema["properties"][name] = {**schema["properties"][name], "pattern": code.takes[name].pattern}
    shapes = [{"required": ["recipient_name"]}] + ([{"required": own}] if own else [])
    return {**schema, "anyOf": shapes} if own else {**schema, "required": ["key", "recipient_name", "address"]}


def _changes(code: Code) -> Json:
    names = {name: _TEXT if name == "last_name" else _FILLED for name in code.recipient_fields}
    return {"type": "object", "minProperties": 1, "properties": {**names, "address": _FILLED, "status": _FILLED}}


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
