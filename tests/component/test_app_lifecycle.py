"""From not ready to ready to gone: what a replica says and does on the way."""

import http.client
import json
import socket

import jsonschema
import pytest

NOT_YET = "not_there_yet"
SLOW = "/slow?seconds=30"


@pytest.fixture
def base(schema):
    return schema.to("base")


def test_a_replica_starts_without_its_database_and_gets_ready_when_it_comes(start_app, base) -> None:
    replica = start_app({**base.conninfo, "dbname": NOT_YET}, ready=False)

    early = replica.until("/readyz", lambda reply: NOT_YET in reply.data["detail"])
    assert (early.status, early.data["ready"]) == (503, False)
    assert replica.ask("GET", "/livez").status == 200
    write = replica.ask("GET", "/parcels")
    assert (write.status, write.error["code"]) == (503, "08006")
    assert write.headers["X-Lab-Error"].startswith("08006 ")

    base.query(f"create database {NOT_YET}")
    replica.logged("ready")
    assert replica.ask("GET", "/readyz").data == {"ready": True, "detail": "ok"}


def test_a_database_that_goes_later_is_told_and_does_not_take_the_replica_out(start_app, base, gone_database) -> None:
    replica = start_app(base.conninfo)
    replica.ask("GET", "/parcels")

    with gone_database(base):
        told = replica.until("/readyz", lambda reply: reply.data["detail"] != "ok")
        assert (told.status, told.data["ready"]) == (200, True)
        assert told.data["detail"].startswith("database: ")
        failed = replica.ask("GET", "/parcels")
        assert failed.status == 503
        assert failed.headers["X-Lab-Error"].startswith(failed.error["code"])
        replica.logged("error", code=failed.error["code"])

    replica.until("/readyz", lambda reply: reply.data["detail"] == "ok")
    assert replica.until("/parcels", lambda reply: reply.status == 200)


def test_never_ready_is_asked_for_ever_and_serves_all_the_same(start_app, base) -> None:
    replica = start_app(base.conninfo, "v2", faults="never-ready", ready=False)

    answer = replica.until("/readyz", lambda _: True)
    assert (answer.status, answer.data["ready"]) == (503, False)
    assert "never-ready" in answer.data["detail"]
    assert replica.ask("GET", "/slow?seconds=0").status == 200
    assert replica.events("ready") == []


def test_sigterm_finishes_what_is_in_flight_and_then_exits_0(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo)
    slow = in_background(replica.ask, "GET", "/slow?seconds=1", request_id="slow")
    replica.logged("begin", id="slow")
    replica.terminate()
    replica.logged("stopping")

    meanwhile = replica.ask("GET", "/readyz")
    assert (meanwhile.status, meanwhile.data) == (503, {"ready": False, "detail": "stopping"})
    assert meanwhile.headers["Connection"] == "close"
    assert replica.ask("GET", "/parcels").headers["Connection"] == "close"
    assert slow.result().status == 200
    assert slow.result().headers["Connection"] == "close"
    assert replica.ended() == 0
    assert replica.unanswered() == []
    assert [line["e"] for line in replica.log][-2:] == ["end", "exit"]


def test_sigterm_closes_idle_connections_at_once(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo)
    connection = replica.connect()
    assert "Connection" not in replica.ask("GET", "/version", on=connection).headers
    assert connection.sock is not None  # kept alive
    in_background(replica.ask, "GET", "/slow?seconds=1", request_id="slow")
    replica.logged("begin", id="slow")
    replica.terminate()

    assert connection.sock.recv(1) == b""
    assert replica.unanswered() == ["slow"]
    connection.close()
    assert replica.ended() == 0


def test_an_idle_replica_exits_at_once(start_app, base) -> None:
    replica = start_app(base.conninfo)
    replica.terminate()

    assert replica.ended() == 0
    assert [line["e"] for line in replica.log] == ["start", "ready", "stopping", "exit"]


def test_what_outlives_its_grace_is_cut_and_stays_unanswered(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo, APP_GRACE_SECONDS="0.2")
    slow = in_background(replica.ask, "GET", SLOW, request_id="slow")
    replica.logged("begin", id="slow")
    replica.terminate()

    assert replica.ended() == 0
    assert replica.unanswered() == ["slow"]
    with pytest.raises((http.client.HTTPException, OSError)):
        slow.result()


def test_sigterm_during_the_boot_exits_0(start_app, base) -> None:
    replica = start_app(base.conninfo, ready=False)
    replica.terminate()

    # before the interpreter has come to our first line, the signal's own default ends the process
    assert replica.ended() in {0, -15}
    assert replica.events("begin") == []


def test_exits_at_once_cuts_what_is_in_flight_and_leaves_it_unanswered(start_app, base, in_background) -> None:
    replica = start_app(base.conninfo, "v2", faults="exits-at-once")
    slow = [in_background(replica.ask, "GET", SLOW, request_id=f"slow-{n}") for n in range(3)]
    for number in range(3):
        replica.logged("begin", id=f"slow-{number}")
    replica.ask("GET", "/version", request_id="answered")
    replica.terminate()

    assert replica.ended() == 0
    assert replica.unanswered() == ["slow-0", "slow-1", "slow-2"]
    assert replica.events("end")[-1]["id"] == "answered"
    for request in slow:
        with pytest.raises((http.client.HTTPException, OSError)):
            request.result()


def test_a_client_that_left_first_has_a_begin_and_no_end(start_app, base) -> None:
    replica = start_app(base.conninfo)
    with socket.create_connection(("127.0.0.1", replica.port)) as client:
        client.sendall(b"GET /slow?seconds=0.3 HTTP/1.1\r\nHost: app\r\nX-Lab-Request-Id: left\r\n\r\n")
        replica.logged("begin", id="left")
    replica.ask("GET", "/slow?seconds=0.6", request_id="stayed")
    replica.logged("end", id="stayed")

    assert replica.unanswered() == ["left"]
    assert replica.events("error") == []


def test_a_client_that_left_within_its_body_has_a_begin_and_no_end(start_app, base, capfd) -> None:
    replica = start_app(base.conninfo)
    with socket.create_connection(("127.0.0.1", replica.port)) as client:
        client.sendall(b"POST /parcels HTTP/1.1\r\nHost: app\r\nContent-Length: 99\r\n\r\n{")
        replica.logged("begin", path="/parcels")
    replica.terminate()

    assert replica.ended() == 0
    assert replica.unanswered() == [f"{replica.name}-1"]
    assert capfd.readouterr().err == ""


def test_every_line_of_the_app_log_is_as_the_schema_says(start_app, base, root) -> None:
    replica = start_app(base.conninfo, "v2")
    replica.ask("POST", "/parcels", {"key": "k", "recipient_name": "A", "address": "1"}, request_id="r-1")
    replica.ask("GET", "/slow?seconds=0", request_id="r-2", headers={"X-Lab-Attempt": "2"})
    replica.terminate()
    assert replica.ended() == 0

    schema = json.loads((root / "docs/reference/schemas/app-log.schema.json").read_text())
    for line in replica.log:
        jsonschema.validate(line, schema)
    assert [(line["e"], line.get("id"), line.get("attempt"), line.get("status")) for line in replica.log] == [
        ("start", None, None, None),
        ("ready", None, None, None),
        ("begin", "r-1", 1, None),
        ("error", "r-1", None, None),
        ("end", "r-1", 1, 500),
        ("begin", "r-2", 2, None),
        ("end", "r-2", 2, 200),
        ("stopping", None, None, None),
        ("exit", None, None, None),
    ]
    times = [line["t"] for line in replica.log]
    assert times == sorted(times)
    assert replica.logged("ready")["t"] - replica.started < 10 * 10**9
