"""A backfill made from columns: any key, small steps, and a word of how far it is."""

import uuid
from pathlib import Path

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError
from lab.migrate.waiting import Manner
from tests.component.conftest import Postgres
from tests.component.migrate_world import database_on, reached, write_plan

PLAN = """
[change]
id = "fill"
[[phase]]
name = "base"
serves = ["v1"]
up = "base.sql"
[[phase]]
name = "backfilled"
serves = ["v1", "v2"]
backfill = "fill.toml"
verify = "verify.sql"
"""
BASE = "create table things (id {kind} primary key, n int, percent text);"
FILL = """
table = "things"
key = "id"
key_type = "{kind}"
where = "t.percent is null and t.n % 2 = 0"
set = {{percent = "t.n || '%'"}}
batch = 30
delay = "3ms"
remaining = "select count(*) from things where percent is null and n % 2 = 0"
"""
VERIFY = "select count(*) filter (where percent is null and n % 2 = 0) as missing from things"


def plan_of(folder: Path, kind: str) -> migrate.ChangePlan:
    files = {"base_sql": BASE.format(kind=kind), "fill_toml": FILL.format(kind=kind), "verify_sql": VERIFY}
    return write_plan(folder, PLAN, **files)


@pytest.fixture
def database(postgres: Postgres) -> Database:
    return database_on(postgres, "fill")


@pytest.mark.parametrize(("kind", "keys"), [
    ("bigint", [str(n) for n in range(1, 101)]),
    ("uuid", [str(uuid.UUID(int=n * 7919**9 % 2**128)) for n in range(1, 101)]),
    ("text", [f"key-{n}'%s" for n in range(1, 101)]),
    ("timestamptz", [f"2026-01-01 00:00:{n % 60:02}.{n:06}+00" for n in range(1, 101)]),
])  # fmt: skip
def test_a_table_is_filled_by_whatever_key_in_batches_with_pauses(
    database: Database, tmp_path: Path, kind: str, keys: list[str]
) -> None:
    plan = plan_of(tmp_path, kind)
    migrate.go_to(database, plan, "base")
    with psycopg.connect(**reached(database), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(f"insert into things values (%s::{kind}, %s)", [(key, n) for n, key in enumerate(keys)])
    pauses: list[float] = []
    told: list[str] = []
    migrate.go_to(database, plan, "backfilled", lambda _, what: told.append(what), manner=Manner(sleep=pauses.append))
    assert database.query("select n, percent from things order by n") == [
        (n, None if n % 2 else f"{n}%") for n in range(100)
    ]
    assert len(pauses) == 2
    assert all(0.003 <= pause <= 0.006 for pause in pauses)
    assert told[0].startswith("30 rows filled of about 50, ")
    assert told[-1].startswith("50 rows filled, all in ")


def test_a_batch_that_takes_long_is_halved(database: Database, tmp_path: Path) -> None:
    """Others wait for the rows of a batch: it is made small enough, whatever was asked for."""
    plan = plan_of(tmp_path, "bigint")
    migrate.go_to(database, plan, "base")
    database.execute("insert into things select n, n * 2 from generate_series(1, 75) n")
    database.execute("create function slow() returns trigger language plpgsql as"
                     " $$ begin perform pg_sleep(0.005); return new; end $$")  # fmt: skip
    database.execute("create table batches (at xid8, n int)")
    database.execute("create trigger slow before update on things for each row execute function slow()")
    database.execute("create function note() returns trigger language plpgsql as"
                     " $$ begin insert into batches select pg_current_xact_id(), count(*) from new_rows; return null; end $$")  # fmt: skip  # noqa: E501
    database.execute("create trigger note after update on things referencing new table as new_rows"
                     " for each statement execute function note()")  # fmt: skip
    migrate.go_to(database, plan, "backfilled")
    sizes = [row[0] for row in database.query("select n from batches where n > 0 order by at")]
    assert sizes[:2] == [30, 15]
    assert sum(sizes) == 75


def test_a_row_that_somebody_holds_makes_the_batch_wait_and_it_is_said_for_whom(
    database: Database, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, "bigint")
    migrate.go_to(database, plan, "base")
    database.execute("insert into things select n, n * 2 from generate_series(1, 10) n")
    told: list[str] = []
    with psycopg.connect(**reached(database), application_name="an editor") as other:
        other.execute("update things set n = 20 where id = 3")

        def tell(_: str, what: str) -> None:
            told.append(what)
            if what.startswith("waits for"):
                other.commit()

        migrate.go_to(database, plan, "backfilled", tell)
    assert "(an editor), idle in transaction" in told[0]
    assert database.query("select percent from things where id = 3") == [("20%",)]


def test_a_file_that_does_not_say_where_it_came_to_is_refused(database: Database, tmp_path: Path) -> None:
    plan = write_plan(
        tmp_path,
        PLAN.replace("fill.toml", "fill.sql"),
        base_sql=BASE.format(kind="bigint"),
        fill_sql="select 1 where %(after)s < %(batch)s",
        verify_sql=VERIFY,
    )
    with pytest.raises(LabError, match=r"fill\.sql does not say where it came to"):
        migrate.go_to(database, plan, "backfilled")


def test_what_was_emptied_behind_it_is_filled_by_the_next_run(database: Database, tmp_path: Path) -> None:
    """The verification has failed: the place it came to is worth nothing."""
    plan = plan_of(tmp_path, "bigint")
    migrate.go_to(database, plan, "base")
    database.execute("insert into things select n, n * 2 from generate_series(1, 60) n")
    emptied: list[float] = []

    def empty(seconds: float) -> None:
        emptied.append(seconds)
        database.execute("update things set percent = null where id = 1")

    with pytest.raises(LabError, match="missing 1"):
        migrate.go_to(database, plan, "backfilled", manner=Manner(sleep=empty))
    migrate.go_to(database, plan, "backfilled")
    assert database.query("select count(*) from things where percent is null") == [(0,)]
