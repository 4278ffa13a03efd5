"""P4 for the schema: the one who changes it is killed anywhere, and the same command ends where it would have."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError
from tests.component.conftest import Postgres
from tests.component.migrate_world import SPAWN, database_on, killed_at, reached, write_plan

PLAN = """
[change]
id = "kills"
versions = ["v1", "v2"]

[[sync]]
name = "twice"
table = "things"
key = "id"
to_new = {doubled = "{amount} * 2"}
to_old = {amount = "{doubled} / 2"}

[[phase]]
name = "base"
serves = ["v1"]
up = "base.sql"

[[phase]]
name = "expanded"
serves = ["v1"]
up = "expand.sql"
down = "back.sql"

[[phase]]
name = "backfilled"
serves = ["v1", "v2"]
backfill = {sync = "twice", batch = 20, delay = "0ms"}
verify = {sync = "twice"}

[[phase]]
name = "contracted"
serves = ["v2"]
up = "contract.sql"
"""
BASE = """
create table things (id bigint primary key, amount int);
insert into things select n, n from generate_series(1, 50) n;
create table taken (what text);
"""
EXPAND = """
-- lab:tx
alter table things add column doubled int;
-- lab:sync create twice
insert into taken values ('columns');
-- lab:end
insert into taken values ('between');
create index concurrently things_doubled on things (doubled);
insert into taken values ('after');
"""
BACK = """
drop index concurrently things_doubled;
-- lab:tx
-- lab:sync drop twice
alter table things drop column doubled;
delete from taken;
-- lab:end
"""
CONTRACT = """
alter table things add constraint full_one check (doubled is not null) not valid;
alter table things validate constraint full_one;
-- lab:tx
-- lab:sync drop twice
alter table things drop column amount;
-- lab:end
insert into taken values ('contracted');
"""


@pytest.fixture
def plan(tmp_path: Path) -> migrate.ChangePlan:
    return write_plan(tmp_path, PLAN, base_sql=BASE, expand_sql=EXPAND, back_sql=BACK, contract_sql=CONTRACT)


def all_the_way(database: Database, plan: migrate.ChangePlan, goal: str = "contracted") -> None:
    migrate.go_to(database, plan, goal)


def back_to_base(database: Database, plan: migrate.ChangePlan) -> None:
    while migrate.current_phase(database) != "base":
        migrate.step_down(database, plan)


CONSTRAINTS = (
    "select conname::text, convalidated from pg_constraint where conrelid = 'things'::regclass and contype = 'c'"
)
COLUMNS = """
select string_agg(column_name, ' ' order by column_name) from information_schema.columns where table_name = 'things'
"""
INDEXES = "select indexrelid::regclass::text, indisvalid from pg_index where indrelid = 'things'::regclass order by 1"
SESSIONS = "select pid from pg_stat_activity where datname = current_database() and application_name = 'lab migrate'"


def what_is_there(database: Database) -> dict[str, object]:
    """All that a reader could see: what was filled, what was done and how often, and what is left over."""
    return {
        "columns": database.query(COLUMNS)[0][0],
        "taken": [row[0] for row in database.query("select what from taken order by what")],
        "indexes": database.query(INDEXES),
        "triggers": database.query("select count(*) from pg_trigger where tgrelid = 'things'::regclass"),
        "constraints": database.query(CONSTRAINTS),
        "rows": database.query("select id, (to_jsonb(t)->>'doubled')::int from things t order by 1"),
        "phases": [row[0] for row in database.query("select phase from lab_schema order by id")],
        "under way": database.query("select * from lab_schema_step"),
        "gone": migrate.gone_versions(database),
    }


def test_killed_before_and_after_every_write_on_the_way_up_it_ends_as_if_it_had_not_been(
    postgres: Postgres, plan: migrate.ChangePlan
) -> None:
    whole = database_on(postgres)
    all_the_way(whole, plan)
    expected = what_is_there(whole)
    assert expected["taken"] == ["after", "between", "columns", "contracted"]
    assert expected["rows"] == [(n, 2 * n) for n in range(1, 51)]
    database = database_on(postgres)
    kills = killed_everywhere(database, all_the_way, (database, plan))
    assert what_is_there(database) == expected
    assert kills > 30


def test_killed_before_and_after_every_write_on_the_way_down_it_ends_as_if_it_had_not_been(
    postgres: Postgres, plan: migrate.ChangePlan
) -> None:
    database = database_on(postgres)
    migrate.go_to(database, plan, "backfilled")
    kills = killed_everywhere(database, back_to_base, (database, plan))
    there = what_is_there(database)
    assert (there["columns"], there["taken"], there["triggers"]) == ("amount id", [], [(0,)])
    assert (there["under way"], there["gone"]) == ([], {})
    assert kills > 8


def killed_everywhere(database: Database, work: Callable[..., None], arguments: tuple[object, ...]) -> int:
    """Each run is killed before, the next after, the first write that brings it further. Returns how many were."""
    kills, write = 0, 2
    while True:
        seen = progress(database)
        for after in (False, True):
            if not killed_at(write, after=after, work=work, arguments=arguments):
                return kills
            kills += 1
        write = 2 if progress(database) != seen else write + 1
        assert kills < 300


def progress(database: Database) -> list[list[tuple[object, ...]]]:
    if database.query("select to_regclass('lab_schema_step')") == [(None,)]:
        return []
    step = "select phase, direction, done, trying, cursor, filled from lab_schema_step"
    return [database.query(step), database.query("select max(id) from lab_schema")]


@contextlib.contextmanager
def slow_rows(database: Database) -> Iterator[None]:
    database.execute("create function slow() returns trigger language plpgsql as"
                     " $$ begin perform pg_sleep(0.05); return new; end $$")  # fmt: skip
    database.execute("create trigger a_slow before update on things for each row execute function slow()")
    yield
    database.execute("drop trigger if exists a_slow on things")


def test_killed_in_the_middle_of_a_statement_the_next_run_waits_until_the_server_has_given_it_up(
    postgres: Postgres, plan: migrate.ChangePlan
) -> None:
    """The server works on for a while for a client that is dead: two runs at once would do things twice."""
    database = database_on(postgres)
    migrate.go_to(database, plan, "expanded")
    told: list[str] = []
    with slow_rows(database):
        child = SPAWN.Process(target=all_the_way, args=(database, plan))
        child.start()
        until(lambda: bool(updating(database)))
        child.kill()
        child.join()
        assert updating(database)
        migrate.go_to(database, plan, "backfilled", lambda who, what: told.append(f"{who} {what}"))
        assert database.query("select count(*), sum(doubled) from things") == [(50, 2550)]
    assert told[0].startswith("waiting for lab migrate (database session ")


def updating(database: Database) -> list[tuple[object, ...]]:
    return database.query(
        "select pid from pg_stat_activity where datname = current_database() and state = 'active'"
        " and application_name = 'lab migrate' and query like '%%update things%%'",
        (),
    )


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_index_whose_build_failed_is_removed_and_built_again(postgres: Postgres, plan: migrate.ChangePlan) -> None:
    """A build of its own that was killed in the middle leaves an invalid index: it costs writes and serves nobody."""
    database = database_on(postgres)
    migrate.go_to(database, plan, "base")
    with psycopg.connect(**reached(database)) as other:
        other.execute("set transaction isolation level repeatable read")
        other.execute("select * from taken")  # an old snapshot: every concurrent build waits for it
        child = SPAWN.Process(target=all_the_way, args=(database, plan, "expanded"))
        child.start()
        until(lambda: ("things_doubled", False) in database.query(INDEXES))
        child.kill()
        child.join()
        until(lambda: not database.query(SESSIONS))
    told: list[str] = []
    migrate.go_to(database, plan, "expanded", lambda _, what: told.append(what))
    assert "removes the invalid index things_doubled, left by a build that failed" in told
    assert ("things_doubled", True) in database.query(INDEXES)


def test_what_is_done_may_not_be_edited_and_what_is_not_done_may(postgres: Postgres, plan: migrate.ChangePlan) -> None:
    """Half of one file and half of another is a schema that nobody has ever seen."""
    database = database_on(postgres)
    migrate.go_to(database, plan, "base")
    expand = plan.file.parent / "expand.sql"
    expand.write_text(EXPAND + "select 1 / 0;")
    with pytest.raises(LabError, match=r"expand\.sql:10: 22012"):
        migrate.go_to(database, plan, "expanded")
    expand.write_text(EXPAND.replace("'after'", "'later'"))
    with pytest.raises(LabError, match=r"expanded \(up\) was changed where 4 transactions are done"):
        migrate.go_to(database, plan, "expanded")
    expand.write_text("-- a remark\n" + EXPAND + "insert into taken values ('mended');")
    migrate.go_to(database, plan, "expanded")
    assert what_is_there(database)["taken"] == ["after", "between", "columns", "mended"]


def test_a_step_that_is_half_done_is_finished_before_another_is_begun(
    postgres: Postgres, plan: migrate.ChangePlan
) -> None:
    database = database_on(postgres)
    migrate.go_to(database, plan, "expanded")
    back = plan.file.parent / "back.sql"
    back.write_text(BACK + "select 1 / 0;")
    with pytest.raises(LabError, match="22012"):
        migrate.step_down(database, plan)
    with pytest.raises(LabError) as failure:
        migrate.go_to(database, plan, "backfilled")
    assert (failure.value.id, failure.value.fix) == ("schema-half-done", "finish it first: lab migrate rollback")
    back.write_text(BACK)
    migrate.step_down(database, plan)
    assert what_is_there(database)["columns"] == "amount id"
