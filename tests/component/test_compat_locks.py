"""A step is taken while an app's statements run and a slow reader holds the tables: who was made to wait is told."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import migrate
from lab.compat.locks import LockWatch
from lab.compat.model import Failure
from lab.database import Database
from lab.migrate.runner import step_up
from lab.migrate.waiting import Manner
from tests.component.conftest import Postgres
from tests.component.migrate_world import database_on, write_plan

PLAN = """
[change]
id = "steps"
[[phase]]
name = "base"
serves = ["v1"]
up = "base.sql"
[[phase]]
name = "changed"
serves = ["v1", "v2"]
up = "step.sql"
"""
BASE = """
create table things (id bigint primary key, name text not null, n int);
insert into things select n, n::text, n from generate_series(1, 50) n;
"""
APP = "127.0.0.1"
"""The app's statements come from inside the server's container; the step comes from outside."""
BEGUN = "select count(*) from pg_stat_activity where application_name = 'app' and datname = %s"


@contextmanager
def traffic(postgres: Postgres, database: Database) -> Iterator[None]:
    """One session that writes a row and reads the table, over and over."""
    container = str(postgres.container.get_wrapped_container().id)
    psql = ["psql", "-qX", "-h", APP, "-U", "lab", database.name]
    variables = ["-e", f"PGPASSWORD={postgres.password}", "-e", "PGAPPNAME=app", "-e", "PAGER=cat"]
    argv = ["docker", "exec", "-i", *variables, container, *psql]
    app = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    assert app.stdin is not None
    # one line of a watched query ends both
    app.stdin.write(
        "with w as (update things set name = 'a' where id = 7) select count(*) from things \\watch interval=0.02\n"
    )
    app.stdin.close()
    try:
        deadline = time.monotonic() + 20
        while not database.query(BEGUN, (database.name,))[0][0]:
            assert time.monotonic() < deadline, "the app's session does not begin"
            time.sleep(0.02)
        yield
    finally:
        database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'app'")
        app.wait(20)


def stepped(postgres: Postgres, folder: Path, step: str) -> list[Failure]:
    plan = write_plan(folder, PLAN, base_sql=BASE, step_sql=step)
    database = database_on(postgres, "locks")
    migrate.go_to(database, plan, "base")
    watch = LockWatch(database=database, traffic={APP: "v1"})
    with traffic(postgres, database):
        step_up(database, plan, plan.phase("changed"), manner=Manner(witness=watch))
    return watch.found


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (
            "-- lab:tx\nset local lock_timeout = 0;\nalter table things add column note text;\n-- lab:end",
            "waits for `alter table things add column note text`, which waits for a slow reader and does not give way",
        ),
        ("create index things_n on things (n);", "reads every row of public.things under a lock for which writes wait"),
        (
            "alter table things alter n type bigint;",
            "reads every row of public.things under a lock for which everybody",
        ),
        ("update things set n = n + 1;", "writes every row of public.things in one transaction"),
    ],
    ids=["lock-queue", "index", "rewrite", "backfill"],
)
def test_a_step_that_holds_up_the_app_is_seen_with_both_statements(
    postgres: Postgres, tmp_path: Path, step: str, why: str
) -> None:
    (failure,) = stepped(postgres, tmp_path, step)

    assert failure.what.startswith("v1: `with w as (update things set name")
    assert why in failure.what


def test_a_step_that_gives_way_and_one_beside_which_all_go_on_are_seen_to_hold_up_nobody(
    postgres: Postgres, tmp_path: Path
) -> None:
    step = """
    alter table things add column note text;
    create index concurrently things_n on things (n);
    alter table things add constraint n_is_there check (n is not null) not valid;
    alter table things validate constraint n_is_there;
    -- lab:tx
    alter table things alter n set not null;
    alter table things drop constraint n_is_there;
    -- lab:end
    update things set n = n + 1 where id in (select id from things limit 100);
    """

    assert stepped(postgres, tmp_path, step) == []
