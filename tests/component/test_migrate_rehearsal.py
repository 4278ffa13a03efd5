"""A step tried on a copy: nothing of the database is touched, and what it would do to others is known before."""

from pathlib import Path

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError
from lab.migrate.clone import PREFIX, cloned
from lab.migrate.footprint import Footprint, rehearse
from tests.component.conftest import Postgres
from tests.component.migrate_world import database_on, reached, write_plan

PLAN = """
[change]
id = "steps"
[[phase]]
name = "base"
serves = ["v1"]
up = "base.sql"
[[phase]]
name = "expanded"
serves = ["v1", "v2"]
up = "expand.sql"
"""
BASE = """
create table things (id bigint primary key, n int);
create table others (id bigint primary key);
insert into things select n, n from generate_series(1, 20000) n;
"""
EXPAND = """
alter table things add column a text;
alter table things alter column n type bigint;
create index things_n on things (n);
create index concurrently things_a on things (a);
-- lab:tx
alter table others add column thing bigint;
alter table others add constraint to_things foreign key (thing) references things (id) not valid;
-- lab:end
alter table others validate constraint to_things;
create view all_things as select id from things;
update things set n = n + 1 where id < 10;
"""


@pytest.fixture
def plan(tmp_path: Path) -> migrate.ChangePlan:
    return write_plan(tmp_path, PLAN, base_sql=BASE, expand_sql=EXPAND)


@pytest.fixture
def database(postgres: Postgres, plan: migrate.ChangePlan) -> Database:
    made = database_on(postgres, "rehearsal")
    migrate.go_to(made, plan, "base")
    return made


def clones(database: Database) -> list[str]:
    return [row[0] for row in database.query("select datname from pg_database") if row[0].startswith(PREFIX)]


def test_the_footprint_says_which_locks_what_is_rewritten_and_who_waits(
    database: Database, plan: migrate.ChangePlan
) -> None:
    (rehearsal,) = rehearse(database, plan, "expanded")
    found = {(f.unit.split(" ", 1)[1].split(" (+")[0], f.table): f for f in rehearsal.footprints}
    assert {key: (f.lock, f.rewritten, f.blocks) for key, f in found.items()} == {
        ("alter table things add column a text", "things"): ("AccessExclusiveLock", False, "reads and writes"),
        ("alter table things alter column n type bigint", "things"): ("AccessExclusiveLock", True, "reads and writes"),
        ("create index things_n on things (n)", "things"): ("ShareLock", False, "writes"),
        ("create index concurrently things_a on things (a)", "things"): ("ShareUpdateExclusiveLock", False, "nobody"),
        ("alter table others add column thing bigint", "others"): ("AccessExclusiveLock", False, "reads and writes"),
        ("alter table others add column thing bigint", "things"): ("ShareRowExclusiveLock", False, "writes"),
        ("alter table others validate constraint to_things", "others"): ("ShareUpdateExclusiveLock", False, "nobody"),
    }
    stalls = [f.stall for f in rehearsal.footprints if f.rewritten]
    assert 0 < stalls[0] <= rehearsal.seconds
    assert all(f.stall == 0 for f in rehearsal.footprints if f.blocks == "nobody")
    assert migrate.current_phase(database) == "base"
    assert clones(database) == []


def test_what_the_step_would_fail_with_is_seen_and_nothing_is_left(
    database: Database, plan: migrate.ChangePlan
) -> None:
    (plan.file.parent / "expand.sql").write_text("alter table things add column b int; select 1 / 0;")
    with pytest.raises(LabError, match=r"expand\.sql:1: 22012"):
        rehearse(database, plan, "expanded")
    assert database.query("select count(*) from information_schema.columns where column_name = 'b'") == [(0,)]
    assert clones(database) == []


def test_a_database_in_use_is_copied_by_a_dump_and_its_users_notice_nothing(
    postgres: Postgres, database: Database, plan: migrate.ChangePlan
) -> None:
    with psycopg.connect(**reached(database), application_name="an app") as other:
        other.execute("update things set n = 7 where id = 1")
        with pytest.raises(LabError, match="cannot be copied while others use it: an app"), cloned(database):
            pass

        def inside(argv: list[str]) -> tuple[int, str]:
            code, said = postgres.container.exec(argv)
            return int(code), said.decode()

        from dataclasses import replace

        (rehearsal,) = rehearse(replace(database, inside=inside), plan, "expanded")
        assert any(isinstance(f, Footprint) and f.rewritten for f in rehearsal.footprints)
        other.execute("select n from things where id = 1")
    assert clones(database) == []


def test_a_copy_that_a_killed_run_left_is_dropped_by_a_later_one(database: Database) -> None:
    database.execute(f"create database {PREFIX}1000000000_abc")
    with cloned(database) as clone:
        assert clones(database) == [clone.name]
