"""What clients of one version meet at servers of another: each direction has faults of its own."""

from typing import Any

import pytest

from lab.compat.apidiff import api_changes


def api(request: Any = None, response: Any = None, **more: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {"responses": {"200": body(response or {})}, **more}
    if request is not None:
        operation["requestBody"] = {"required": True, **body(request)}
    return {"paths": {"/things": {"post": operation}}}


def body(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def thing(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def breaking(client: dict[str, Any], server: dict[str, Any]) -> set[str]:
    return {change.where.removeprefix("POST /things ") for change in api_changes(client, server) if change.breaking}


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
AB = {"enum": ["a", "b"]}
ABC = {"enum": ["a", "b", "c"]}
# name: (old schema, new schema, broken as a request of old clients, as one of new clients, as a response to either)
CHANGES = {
    "a field that is needed now": (thing("a", a=TEXT), thing("a", "b", a=TEXT, b=TEXT), ".b", ".b", "", ".b"),
    "a field that may be left out": (thing("a", a=TEXT), thing("a", a=TEXT, b=TEXT), "", ".b", "", ""),
    "a field that is gone": (thing("a", "b", a=TEXT, b=TEXT), thing("a", a=TEXT), ".b", ".b", ".b", ""),
    "a field of another type": (thing("a", a=TEXT), thing("a", a=NUMBER), ".a", ".a", ".a", ".a"),
    "a value that is new": (thing("a", a=AB), thing("a", a=ABC), "", ".a", ".a", ""),
    "a value that is gone": (thing("a", a=ABC), thing("a", a=AB), ".a", "", "", ".a"),
    "what may be null now": (
        thing("a", a=TEXT),
        thing("a", a={"type": ["string", "null"]}),
        "",
        ".a",
        ".a",
        "",
    ),
    "a shorter text": (
        thing(a={"type": "string", "maxLength": 9}),
        thing(a={"type": "string", "maxLength": 5}),
        ".a",
        "",
        "",
        ".a",
    ),
    "a longer list": (
        thing(a={"type": "array", "items": AB}),
        thing(a={"type": "array", "items": ABC}),
        "",
        ".a[]",
        ".a[]",
        "",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_direction_of_a_change_breaks_whom_it_breaks(name: str) -> None:
    old, new, old_request, new_request, old_reads_new, new_reads_old = CHANGES[name]

    def where(prefix: str, path: str) -> set[str]:
        return {prefix + path} if path else set()

    assert breaking(api(request=old), api(request=new)) == where("request", old_request)
    assert breaking(api(request=new), api(request=old)) == where("request", new_request)
    assert breaking(api(response=old), api(response=new)) == where("response 200", old_reads_new)
    assert breaking(api(response=new), api(response=old)) == where("response 200", new_reads_old)


def test_a_route_that_the_server_does_not_have_breaks_its_clients_only() -> None:
    more = api()
    more["paths"]["/more"] = {"get": {"responses": {}}}

    assert [c.what for c in api_changes(more, api())] == ["the server does not have it"]
    assert api_changes(api(), more) == ()


def test_a_parameter_that_the_server_needs_breaks_clients_that_do_not_send_it() -> None:
    needs = api(parameters=[{"in": "query", "name": "limit", "required": True, "schema": NUMBER}])

    assert breaking(api(), needs) == {"query limit"}
    assert breaking(needs, api()) == {"query limit"}  # sent, and not known


def test_either_of_two_shapes_is_enough_for_a_client_that_sends_one() -> None:
    whole, parts = thing("name", name=TEXT), thing("first", "last", first=TEXT, last=TEXT)
    either = {"anyOf": [whole, parts]}

    assert breaking(api(request=whole), api(request=either)) == set()
    assert breaking(api(request=parts), api(request=either)) == set()
    assert breaking(api(request=either), api(request=whole)) == {"request.name", "request.first", "request.last"}


def test_references_and_allof_are_followed_also_where_they_lead_round() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "a": TEXT}}
    other = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}, "a": NUMBER}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Node"}, thing("b", b=TEXT)]}
    old = {**api(response=schema), "components": {"schemas": {"Node": node}}}
    new = {**api(response=schema), "components": {"schemas": {"Node": other}}}

    assert "response 200.a" in breaking(old, new)
    assert breaking(old, old) == set()


def test_what_a_client_does_not_know_of_an_answer_hurts_it_not_and_is_told() -> None:
    (change,) = api_changes(api(response=thing("a", a=TEXT)), api(response=thing("a", "b", a=TEXT, b=TEXT)))

    assert (change.where, change.what, change.breaking) == ("POST /things response 200.b", "new to the client", False)
