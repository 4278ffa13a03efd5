"""The app's lease in the database: held while it lives, waited for, and refused once its version is gone."""

import signal
import time
from collections.abc import Callable
from typing import Any

import psycopg

from tests.component.conftest import PATIENCE, Schema, StartApp

HELD = """
select a.application_name from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.classid = 4997442 and l.granted and a.datname = current_database()
  and l.objid = hashtext(%s)::oid
"""
HOLDER = HELD.replace("a.application_name", "a.pid")
GONE = "create table lab_gone (version text primary key, phase text not null, since timestamptz default now())"


def held(schema: Schema, version: str) -> list[tuple[Any, ...]]:
    return schema.query(HELD, (version,))


def test_a_process_holds_a_lease_for_its_version_from_its_first_readiness_to_its_end(
    schema: Schema, start_app: StartApp
) -> None:
    schema.to("base")
    app = start_app(schema.conninfo, "v1")
    assert held(schema, "v1") == [("lab/sample_app/v1/app-1.1",)]
    assert held(schema, "v2") == []
    app.process.send_signal(signal.SIGKILL)
    app.ended()
    until(lambda: not held(schema, "v1"))


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_held_until_the_last_request_in_flight_is_answered(
    schema: Schema, start_app: StartApp, in_background: Any
) -> None:
    schema.to("base")
    app = start_app(schema.conninfo, "v1")
    slow = in_background(app.ask, "GET", "/slow?seconds=1")
    app.logged("begin", path="/slow?seconds=1")
    app.terminate()
    app.logged("stopping")
    assert held(schema, "v1")
    assert slow.result().status == 200
    assert app.ended() == 0
    until(lambda: not held(schema, "v1"))


def test_one_that_starts_while_the_schema_is_changed_waits_and_then_serves(schema: Schema, start_app: StartApp) -> None:
    schema.to("base")
    with psycopg.connect(**schema.conninfo, autocommit=True) as changing:
        changing.execute("select pg_advisory_lock(4997442, hashtext('v1'))")
        app = start_app(schema.conninfo, "v1", ready=False)
        reply = app.until("/readyz", lambda reply: "the schema is being changed" in reply.data["detail"])
        assert reply.status == 503
    app.logged("ready")


def test_one_that_starts_late_waits_and_ends_with_a_clear_word_once_its_version_is_gone(
    schema: Schema, start_app: StartApp
) -> None:
    schema.to("base")
    with psycopg.connect(**schema.conninfo, autocommit=True) as changing:
        changing.execute("select pg_advisory_lock(4997442, hashtext('v1'))")
        app = start_app(schema.conninfo, "v1", ready=False)
        app.until("/readyz", lambda reply: "the schema is being changed" in reply.data["detail"])
        changing.execute(GONE)
        changing.execute("insert into lab_gone values ('v1', 'contracted')")
    assert app.ended() == 78
    assert app.events("exit")[-1]["detail"] == "the schema is contracted: v1 can not run on it any more"
    assert app.events("ready") == []
    start_app(schema.conninfo, "v2")  # nobody else is kept


def test_a_lease_that_was_lost_is_taken_again(schema: Schema, start_app: StartApp) -> None:
    """A database that restarts forgets who runs."""
    schema.to("base")
    start_app(schema.conninfo, "v1")
    (row,) = schema.query("select pid from pg_stat_activity where application_name = 'lab/sample_app/v1/app-1.1'"
                          " and datname = current_database()")  # fmt: skip
    schema.query("select pg_terminate_backend(%s)", row)
    # by another connection: that nobody held it in between may be over too soon to be seen
    until(lambda: held(schema, "v1") != [] and row not in schema.query(HOLDER, ("v1",)))


def test_one_whose_version_went_away_while_it_had_no_lease_ends(schema: Schema, start_app: StartApp) -> None:
    schema.to("base")
    app = start_app(schema.conninfo, "v1")
    schema.query(GONE)
    schema.query("insert into lab_gone values ('v1', 'contracted')")
    assert app.ask("GET", "/version").status == 200  # it holds its lease: nobody took it away in order
    schema.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                 " and pid <> pg_backend_pid()")  # fmt: skip
    assert app.ended() == 78
