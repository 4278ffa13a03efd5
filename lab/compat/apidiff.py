"""PURE: what the clients of one version meet at the servers of another, from their OpenAPI documents.

Both directions of a message are one question: is all that one side may send what the other side can take? For a request
the client sends; for a response the server does. A request's field that the server does not know is not refused, and
is lost in silence; a response's field that the client does not know hurts nobody.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.compat.model import ApiChange

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_DEPTH = 12
_ANY = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two: its document, for its references, and a schema of it."""

    doc: Json
    schema: Json

    def at(self, schema: object) -> "_Side":
        return _Side(doc=self.doc, schema=resolved(self.doc, schema))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in a message; `request` tells who sends it."""

    where: str
    request: bool
    depth: int = 0

    def into(self, part: str) -> "_Place":
        return replace(self, where=self.where + part, depth=self.depth + 1)

    def breaks(self, what: str) -> ApiChange:
        return ApiChange(where=self.where, what=what, breaking=True)

    def differs(self, what: str) -> ApiChange:
        return ApiChange(where=self.where, what=what, breaking=False)


def api_changes(client: Json, server: Json) -> tuple[ApiChange, ...]:
    """All that differs for a client written to `client` at a server described by `server`."""
    return tuple(dict.fromkeys(_documents(client, server)))


def _documents(client: Json, server: Json) -> Iterator[ApiChange]:
    theirs = dict(_operations(server))
    for (path, method), mine in _operations(client):
        name = f"{method.upper()} {path}"
        if (path, method) not in theirs:
            yield ApiChange(where=name, what="the server does not have it", breaking=True)
            continue
        yield from _operation(name, _Side(doc=client, schema=mine), _Side(doc=server, schema=theirs[path, method]))


def _operations(doc: Json) -> Iterator[tuple[tuple[str, str], Json]]:
    for path, item in doc.get("paths", {}).items():
        for method in METHODS:
            if isinstance(item.get(method), Mapping):
                shared = item.get("parameters", [])
                yield (path, method), {**item[method], "parameters": [*shared, *item[method].get("parameters", [])]}


def _operation(name: str, client: _Side, server: _Side) -> Iterator[ApiChange]:
    yield from _parameters(name, client, server)
    place = _Place(where=f"{name} request", request=True)
    sent, taken = _body(client), _body(server)
    if taken is not None and sent is None and resolved(server.doc, server.schema["requestBody"]).get("required"):
        yield place.breaks("the server needs a body")
    if sent is not None and taken is not None:
        yield from _fits(sent, taken, place)
    yield from _responses(name, client, server)


def _parameters(name: str, client: _Side, server: _Side) -> Iterator[ApiChange]:
    mine = {(p["in"], p["name"]): p for p in (resolved(client.doc, p) for p in client.schema["parameters"])}
    theirs = {(p["in"], p["name"]): p for p in (resolved(server.doc, p) for p in server.schema["parameters"])}
    for key, theirs_one in theirs.items():
        place = _Place(where=f"{name} {key[0]} {key[1]}", request=True)
        if key not in mine:
            if theirs_one.get("required"):
                yield place.breaks("the server needs it")
            continue
        if theirs_one.get("required") and not mine[key].get("required"):
            yield place.breaks("the server needs it, the client may leave it out")
        yield from _fits(client.at(mine[key].get("schema", {})), server.at(theirs_one.get("schema", {})), place)
    for where, parameter in mine.keys() - theirs.keys():
        yield ApiChange(where=f"{name} {where} {parameter}", what="the server does not know it", breaking=True)


def _responses(name: str, client: _Side, server: _Side) -> Iterator[ApiChange]:
    known, given = client.schema.get("responses", {}), server.schema.get("responses", {})
    for status, answer in given.items():
        place = _Place(where=f"{name} response {status}", request=False)
        expected = known.get(status, known.get(f"{status[:1]}XX", known.get("default")))
        if expected is None:
            tell = place.breaks if status.startswith("2") else place.differs
            yield tell("the client does not know this status")
            continue
        produced, taken = _content(server.at(answer)), _content(client.at(expected))
        if taken is not None and produced is None:
            yield place.breaks("the client expects a JSON body")
        if taken is not None and produced is not None:
            yield from _fits(produced, taken, place)


def _body(side: _Side) -> _Side | None:
    body = side.schema.get("requestBody")
    return None if body is None else _content(side.at(body))


def _content(side: _Side) -> _Side | None:
    content = side.schema.get("content", {})
    json = next((content[kind] for kind in content if kind.partition(";")[0].endswith("json")), None)
    return None if json is None else side.at(json.get("schema", {}))


def resolved(doc: Json, schema: object) -> Json:
    """The schema itself, where it is a reference into its document; `allOf` as one."""
    for _ in range(_DEPTH):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        found: Any = doc
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
        schema = found
    if not isinstance(schema, Mapping):
        return {}
    return _merged(doc, schema) if "allOf" in schema else schema


def _merged(doc: Json, schema: Json) -> Json:
    whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in (resolved(doc, one) for one in schema["allOf"]):
        for key, value in part.items():
            if key == "properties":
                whole[key] = {**whole.get(key, {}), **value}
            elif key == "required":
                whole[key] = sorted({*whole.get(key, ()), *value})
            else:
                whole.setdefault(key, value)
    return whole


def _fits(sent: _Side, taken: _Side, place: _Place) -> Iterator[ApiChange]:
    """Whatever `sent` allows has to be allowed by `taken`."""
    if place.depth > _DEPTH or not taken.schema:
        return
    alternatives = _alternatives(taken)
    if alternatives or _alternatives(sent):
        yield from _any_fits(_alternatives(sent) or [sent], alternatives or [taken], place)
        return
    strange = _types(sent.schema) - _types(taken.schema)
    if "integer" in strange and "number" in _types(taken.schema):
        strange -= {"integer"}
    who = "the server may answer" if not place.request else "the client may send"
    if strange and _types(sent.schema) != _ANY:
        what = " or ".join(sorted(strange))
        yield place.breaks(f"{who} {what}, {_takes(place)} {' or '.join(sorted(_types(taken.schema)))}")
        if not _types(sent.schema) & _types(taken.schema):
            return
    yield from _values(sent.schema, taken.schema, place, who)
    if "object" in _types(sent.schema) and "object" in _types(taken.schema):
        yield from _properties(sent, taken, place)
    if "items" in sent.schema and "items" in taken.schema:
        yield from _fits(sent.at(sent.schema["items"]), taken.at(taken.schema["items"]), place.into("[]"))


def _alternatives(side: _Side) -> list[_Side]:
    """Those of `oneOf` and `anyOf`, each with what stands beside them."""
    options = side.schema.get("oneOf") or side.schema.get("anyOf") or []
    beside = {key: value for key, value in side.schema.items() if key not in {"oneOf", "anyOf"}}
    return [side.at({"allOf": [beside, option]}) for option in options]


def _any_fits(sent: list[_Side], taken: list[_Side], place: _Place) -> Iterator[ApiChange]:
    for one in sent:
        found = [list(_fits(one, other, place.into(""))) for other in taken]
        best = min(found, key=lambda changes: sum(change.breaking for change in changes))
        yield from best


def _types(schema: Json) -> frozenset[str]:
    kind = schema.get("type")
    if kind is None:
        if "properties" in schema or "required" in schema:
            return frozenset({"object"})
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        return _ANY if values is None else frozenset(map(_type_of, values))
    kinds = frozenset([kind] if isinstance(kind, str) else kind)
    return kinds | {"null"} if schema.get("nullable") else kinds


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _values(sent: Json, taken: Json, place: _Place, who: str) -> Iterator[ApiChange]:
    allowed = taken.get("enum", [taken["const"]] if "const" in taken else None)
    given = sent.get("enum", [sent["const"]] if "const" in sent else None)
    if allowed is not None:
        strange = [] if given is None else [value for value in given if value not in allowed]
        if given is None:
            yield place.breaks(f"{who} any value, {_takes(place)} only {', '.join(map(str, allowed))}")
        elif strange:
            yield place.breaks(f"{who} {', '.join(map(str, strange))}, which {_others(place)} does not know")
    for keys, tighter in ((_LEAST, "at least"), (_MOST, "at most")):
        for key in keys:
            if key in taken and _is_tighter(key, sent.get(key), taken[key]):
                yield place.breaks(f"{_takes(place)} {key} {tighter} {taken[key]}, {who} {sent.get(key, 'any')}")
    for key in ("pattern", "format"):
        if taken.get(key) is not None and taken[key] != sent.get(key):
            tell = place.breaks if place.request and key == "pattern" else place.differs
            yield tell(f"{key} {sent.get(key, 'none')} is sent, {taken[key]} is taken")


def _is_tighter(key: str, sent: float | None, taken: float) -> bool:
    if key in {"minLength", "minItems"}:
        sent = sent or 0
    if sent is None:
        return True
    return taken > sent if key in _LEAST else taken < sent


def _properties(sent: _Side, taken: _Side, place: _Place) -> Iterator[ApiChange]:
    given, known = sent.schema.get("properties", {}), taken.schema.get("properties", {})
    always, needed = set(sent.schema.get("required", ())), set(taken.schema.get("required", ()))
    for name in sorted(needed - always):
        there = "may leave it out" if name in given else "does not have it"
        yield place.into(f".{name}").breaks(f"{_others(place)} needs it, {_who(place)} {there}")
    for name in sorted(given.keys() & known.keys()):
        yield from _fits(sent.at(given[name]), taken.at(known[name]), place.into(f".{name}"))
    closed = taken.schema.get("additionalProperties") is False
    for name in sorted(given.keys() - known.keys()):
        if closed:
            yield place.into(f".{name}").breaks(f"{_others(place)} refuses what it does not know")
        elif place.request:
            yield place.into(f".{name}").breaks("the server does not know it: what is sent in it is lost in silence")
        else:
            yield place.into(f".{name}").differs("new to the client")


def _who(place: _Place) -> str:
    return "the client" if place.request else "the server"


def _others(place: _Place) -> str:
    return "the server" if place.request else "the client"


def _takes(place: _Place) -> str:
    return f"{_others(place)} takes"
