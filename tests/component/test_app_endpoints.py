"""Every endpoint of the app, against a real PostgreSQL."""

import json
import re
import urllib.request
from typing import Any

import jsonschema
import pytest

V1_PARCEL = {"key": "k-1", "recipient_name": "Ann Lee Smith", "address": "1 Main St"}


@pytest.fixture(scope="module")
def base(new_schema):
    return new_schema().to("base")


@pytest.fixture(scope="module")
def shared_v1(base, start_shared):
    return start_shared(base.conninfo)


def test_a_parcel_is_made_read_changed_and_listed(shared_v1) -> None:
    made = shared_v1.ask("POST", "/parcels", V1_PARCEL)
    path = f"/parcels/{made.data['id']}"

    assert made.status == 201
    assert made.data == {**V1_PARCEL, "id": made.data["id"], "status": "registered"}
    assert shared_v1.ask("GET", path).data == made.data
    changed = shared_v1.ask("PATCH", path, {"status": "sent", "recipient_name": "Eve Adams"})
    assert changed.status == 200
    assert changed.data == {**made.data, "status": "sent", "recipient_name": "Eve Adams"}
    listed = shared_v1.ask("GET", f"/parcels?after={made.data['id'] - 1}")
    assert listed.data == {"items": [changed.data], "next": None}


def test_a_known_key_gives_the_same_parcel_and_a_second_execution(shared_v1, base) -> None:
    body = {**V1_PARCEL, "key": "known"}
    first = shared_v1.ask("POST", "/parcels", body, request_id="known-1")
    other = {**body, "address": "2"}
    second = shared_v1.ask("POST", "/parcels", other, request_id="known-1", headers={"X-Lab-Attempt": "2"})
    path = f"/parcels/{first.data['id']}"
    shared_v1.ask("PATCH", path, {"status": "sent"}, request_id="known-2")

    assert (second.status, second.data) == (200, first.data)
    assert base.query("select count(*) from parcels where key = 'known'") == [(1,)]
    executions = base.query(
        "select request_id, attempt, operation, replica, version from lab_executions "
        "where request_id like %s order by id",
        ("known-%",),
    )
    assert executions == [
        ("known-1", 1, "POST /parcels", "app-1.1", "v1-test"),
        ("known-1", 2, "POST /parcels", "app-1.1", "v1-test"),
        ("known-2", 1, f"PATCH {path}", "app-1.1", "v1-test"),
    ]


def test_one_key_in_many_requests_at_once_makes_one_parcel(shared_v1, in_background) -> None:
    body = {**V1_PARCEL, "key": "raced"}
    asked = [in_background(shared_v1.ask, "POST", "/parcels", body) for _ in range(8)]
    replies = [request.result() for request in asked]

    assert sorted(reply.status for reply in replies) == [200] * 7 + [201]
    assert len({reply.data["id"] for reply in replies}) == 1


def test_the_list_comes_in_pages_by_rising_id(shared_v1) -> None:
    keys = [f"page-{number}" for number in range(5)]
    ids = [shared_v1.ask("POST", "/parcels", {**V1_PARCEL, "key": key}).data["id"] for key in keys]
    pages, after = [], ids[0] - 1
    while after is not None:
        page = shared_v1.ask("GET", f"/parcels?after={after}&limit=2").data
        pages.append([item["id"] for item in page["items"]])
        after = page["next"]

    assert pages == [ids[:2], ids[2:4], ids[4:]]


def test_a_write_that_fails_was_executed_all_the_same(schema, start_app) -> None:
    v1 = start_app(schema.to("base").conninfo)
    schema.query("alter table parcels rename to hidden")

    assert v1.ask("POST", "/parcels", V1_PARCEL, request_id="r-1").status == 500
    assert schema.query("select request_id from lab_executions") == [("r-1",)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/parcels", {"recipient_name": "Ann", "address": "1"}),
        ("POST", "/parcels", b"not json"),
        ("PATCH", "/parcels/1", {}),
        ("GET", "/parcels?limit=many", None),
        ("GET", "/slow?seconds=31", None),
    ],
)
def test_what_cannot_be_meant_is_bad_input(shared_v1, method, path, body) -> None:
    reply = shared_v1.ask(method, path, body)

    assert (reply.status, reply.error["code"]) == (400, "bad-input")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/parcels/999999999", None),
        ("PATCH", "/parcels/999999999", {"status": "sent"}),
        ("GET", "/parcels/x", None),
        ("DELETE", "/parcels/1", None),
        ("GET", "/nowhere", None),
    ],
)
def test_what_is_not_there_is_not_found(shared_v1, method, path, body) -> None:
    reply = shared_v1.ask(method, path, body)

    assert (reply.status, reply.error["code"]) == (404, "not-found")


def test_a_body_that_is_too_large_is_refused_in_an_envelope(shared_v1) -> None:
    reply = shared_v1.ask("POST", "/parcels", {**V1_PARCEL, "address": "x" * 70_000})

    assert (reply.status, reply.error["code"]) == (413, "bad-input")


def test_slow_takes_its_time(shared_v1) -> None:
    reply = shared_v1.ask("GET", "/slow?seconds=0.05", request_id="slow-1")

    assert (reply.status, reply.data) == (200, {"slept": 0.05})
    begin, end = (shared_v1.logged(event, id="slow-1")["t"] for event in ("begin", "end"))
    assert end - begin >= 50_000_000


def test_version_says_who_answers(shared_v1) -> None:
    assert shared_v1.ask("GET", "/version").data == {
        "code": "v1",
        "version": "v1-test",
        "replica": shared_v1.name,
    }


def test_every_answer_carries_version_replica_and_request_id(shared_v1) -> None:
    for path in ("/parcels", "/livez", "/readyz", "/version", "/slow?seconds=0", "/nowhere", "/parcels/0"):
        reply = shared_v1.ask("GET", path, request_id="r-head")

        assert reply.headers["X-Lab-Version"] == "v1-test"
        assert reply.headers["X-Lab-Replica"] == shared_v1.name
        assert reply.headers["X-Lab-Request-Id"] == "r-head"
        assert "X-Lab-Proxy" not in reply.headers


def test_a_request_without_an_id_is_given_one(shared_v1) -> None:
    connection = shared_v1.connect()
    connection.request("GET", "/version")
    response = connection.getresponse()
    found = json.loads(response.read())
    connection.close()

    assert found["request_id"] == response.headers["X-Lab-Request-Id"]
    assert found["request_id"].startswith(shared_v1.name)


def test_probes_leave_no_lines_in_the_app_log(shared_v1) -> None:
    for path in ("/livez", "/readyz"):
        assert shared_v1.ask("GET", path, request_id=f"probe{path.replace('/', '-')}").status == 200
    shared_v1.ask("GET", "/version", request_id="after-the-probes")
    shared_v1.logged("end", id="after-the-probes")

    assert [line for line in shared_v1.log if line.get("id", "").startswith("probe")] == []


def test_an_environment_that_cannot_be_served_ends_with_a_reason(start_app, schema, capfd) -> None:
    replica = start_app(schema.conninfo, code="v3", ready=False)

    assert replica.ended() == 2
    assert "APP_CODE is 'v3'; it may be v1, v2" in capfd.readouterr().err


def test_a_port_that_is_taken_ends_with_a_reason(start_app, schema, shared_v1, capfd) -> None:
    replica = start_app(schema.conninfo, ready=False, PORT=str(shared_v1.port))

    assert replica.ended() == 1
    assert f"cannot serve on port {shared_v1.port}" in capfd.readouterr().err


@pytest.mark.parametrize("code", ["v1", "v2"])
def test_the_document_of_its_api_says_what_the_app_really_takes_and_answers(backfilled, start_app, code: str) -> None:
    app = start_app(backfilled.conninfo, code)
    with urllib.request.urlopen(f"http://127.0.0.1:{app.port}/openapi.json") as response:
        document = json.load(response)
    schemas, asked = document["components"]["schemas"], set()

    def hold(method: str, path: str, body: object, status: int) -> Any:
        reply = app.ask(method, path, body)
        assert reply.status == status, (method, path, reply.data or reply.error)
        item = next(
            template
            for template in document["paths"]
            if re.fullmatch(re.sub(r"{\w+}", r"\\d+", template), path.partition("?")[0])
        )
        asked.add((item, method.lower(), str(status)))
        schema = document["paths"][item][method.lower()]["responses"][str(status)]["content"]["application/json"][
            "schema"
        ]
        jsonschema.validate(json.loads(reply.body), {**schema, "components": document["components"]})
        taken = document["paths"][item][method.lower()].get("requestBody")
        if taken is not None:
            whole = {**taken["content"]["application/json"]["schema"], "components": document["components"]}
            assert jsonschema.Draft202012Validator(whole).is_valid(body) is (status != 400), body
        return reply.data

    whole = {"key": "api-1", "recipient_name": "Ann Lee", "address": "1"}
    made = hold("POST", "/parcels", whole, 201)
    hold("POST", "/parcels", whole, 200)
    hold("POST", "/parcels", {**whole, "address": ""}, 400)
    hold("POST", "/parcels", {"key": "api-2", "address": "1"}, 400)
    hold(
        "POST",
        "/parcels",
        {"key": "api-2", "first_name": "Ann", "last_name": "Lee", "address": "1"},
        201 if code == "v2" else 400,
    )
    hold("PATCH", f"/parcels/{made['id']}", {"address": "2", "status": "sent"}, 200)
    hold("PATCH", f"/parcels/{made['id']}", {}, 400)
    hold("PATCH", "/parcels/999999", {"address": "2"}, 404)
    hold("GET", f"/parcels/{made['id']}", None, 200)
    hold("GET", "/parcels/999999", None, 404)
    hold("GET", "/parcels?limit=2", None, 200)
    hold("GET", "/parcels?limit=0", None, 400)

    assert made.keys() == schemas["Parcel"]["properties"].keys()
    promised = {
        (p, m, s)
        for p, item in document["paths"].items()
        for m in item.keys() - {"parameters"}
        for s in item[m]["responses"]
    }
    assert asked == promised
