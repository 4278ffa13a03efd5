"""A sync trigger made from a mapping, on a real PostgreSQL: both versions write, and nothing either wrote is lost."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError
from lab.migrate.sync import Sync
from tests.component.conftest import Postgres
from tests.component.migrate_world import database_on, reached, write_plan

PLAN = """
[change]
id = "split"

[[sync]]
name = "names"
table = "people"
key = "id"
to_new = {first = "split_part({name}, ' ', 1)", last = "substr({name}, length(split_part({name}, ' ', 1)) + 2)"}
to_old = {name = "btrim({first} || ' ' || {last})"}

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
backfill = {sync = "names", batch = 7, delay = "1ms", remaining = "select count(*) from people where first is null"}
verify = {sync = "names"}

[[phase]]
name = "contracted"
serves = ["v2"]
up = "contract.sql"
"""
BASE = "create table people (id bigint generated always as identity primary key, name text not null);"
EXPAND = "-- lab:tx\nalter table people add first text, add last text;\n-- lab:sync create names\n-- lab:end"
BACK = "-- lab:tx\n-- lab:sync drop names\nalter table people drop first, drop last;\n-- lab:end"
CONTRACT = "-- lab:tx\n-- lab:sync drop names\nalter table people drop name;\n-- lab:end"
ROWS = "select name, first, last from people order by id"


@pytest.fixture
def plan(tmp_path: Path) -> migrate.ChangePlan:
    return write_plan(tmp_path, PLAN, base_sql=BASE, expand_sql=EXPAND, back_sql=BACK, contract_sql=CONTRACT)


@pytest.fixture
def expanded(postgres: Postgres, plan: migrate.ChangePlan) -> Database:
    database = database_on(postgres, "sync")
    migrate.go_to(database, plan, "expanded")
    return database


@pytest.mark.parametrize(
    ("statements", "row"),
    [
        (["insert into people(name) values ('Ann Lee Smith')"], ("Ann Lee Smith", "Ann", "Lee Smith")),
        (["insert into people(first, last) values ('Mary Ann', 'Lee')"], ("Mary Ann Lee", "Mary Ann", "Lee")),
        (
            ["insert into people(first, last) values ('Mary Ann', 'Lee')", "update people set id = default"],
            ("Mary Ann Lee", "Mary Ann", "Lee"),  # another column was written: nobody's name is guessed anew
        ),
        (
            ["insert into people(first, last) values ('Mary Ann', 'Lee')", "update people set name = 'Mary Ann Ray'"],
            ("Mary Ann Ray", "Mary", "Ann Ray"),
        ),
        (
            ["insert into people(name) values ('Ann Lee')", "update people set last = 'Ray'"],
            ("Ann Ray", "Ann", "Ray"),
        ),
        (
            ["insert into people(name) values ('Ann Lee')", "update people set name = 'A B', first = 'C', last = 'D'"],
            ("A B", "C", "D"),  # whoever writes both is believed; the divergence tells
        ),
    ],
)
def test_whichever_version_writes_only_the_other_side_is_computed(
    expanded: Database, statements: list[str], row: tuple[str, str, str]
) -> None:
    for statement in statements:
        expanded.execute(statement)
    assert expanded.query(ROWS) == [row]


def test_a_backfill_leaves_what_the_old_version_wrote_letter_for_letter(
    expanded: Database, plan: migrate.ChangePlan
) -> None:
    """`to_old` of `to_new` is not what was there: the trigger must not take the backfill for a write of V2's."""
    expanded.execute("alter table people disable trigger people_sync_names")
    expanded.execute("insert into people(name) values ('Ann Lee '), ('Cher')")
    expanded.execute("alter table people enable trigger people_sync_names")
    migrate.go_to(expanded, plan, "backfilled")
    assert expanded.query(ROWS) == [("Ann Lee ", "Ann", "Lee "), ("Cher", "Cher", "")]


def test_the_divergence_counts_what_neither_version_explains_and_shows_the_rows(
    expanded: Database, plan: migrate.ChangePlan
) -> None:
    expanded.execute("insert into people(name) values ('Ann Lee')")
    expanded.execute("insert into people(first, last) values ('Mary Ann', 'Lee')")
    migrate.step_up(expanded, plan, plan.phase("backfilled"))
    migrate.step_down(expanded, plan)
    expanded.execute("update people set name = 'X Y', first = 'Z', last = 'Z' where id = 1")
    with pytest.raises(LabError) as failure:
        migrate.step_up(expanded, plan, plan.phase("backfilled"))
    assert "not backfilled yet: diverged 1" in failure.value.what
    assert failure.value.where == "id=1, name='X Y', first='Z', last='Z'"


def test_without_the_trigger_the_divergence_is_seen(expanded: Database, plan: migrate.ChangePlan) -> None:
    """The promise broken on purpose: V2 writes one side only."""
    expanded.execute("drop trigger people_sync_names on people")
    expanded.execute("insert into people(name, first, last) values ('Ann Lee', 'Ann', 'Lee')")
    expanded.execute("update people set last = 'Ray'")
    with pytest.raises(LabError, match="not backfilled yet: diverged 1"):
        migrate.go_to(expanded, plan, "backfilled")


def test_the_whole_way_under_writers_of_both_versions_diverges_nowhere(
    postgres: Postgres, plan: migrate.ChangePlan
) -> None:
    """Up to backfilled under V1, then V1 and V2 at once on the same rows, then V1 away and contracted under V2."""
    database = database_on(postgres, "sync")
    migrate.go_to(database, plan, "base")
    database.execute("insert into people(name) select 'Old N' || n from generate_series(1, 60) n")
    sync = plan.syncs["names"]
    with writing(database, old_writer):
        migrate.go_to(database, plan, "expanded")
        migrate.go_to(database, plan, "backfilled")
        with writing(database, new_writer):
            wait_for_writes(database, 300)
            assert diverged(database, sync) == (0, 0)
    with writing(database, new_writer):
        assert diverged(database, sync) == (0, 0)
        migrate.go_to(database, plan, "contracted")
    assert database.query("select count(*) from people where first is null or last is null") == [(0,)]


def diverged(database: Database, sync: Sync) -> tuple[int, int]:
    return database.query(sync.divergence())[0]  # type: ignore[return-value]


def old_writer(connection: psycopg.Connection, turn: random.Random) -> None:
    name = f"Old{turn.randrange(99)} Name{turn.randrange(99)}"
    connection.execute("insert into people(name) values (%s)", (name,))
    connection.execute("update people set name = %s where id = %s", (name, turn.randrange(1, 60)))


def new_writer(connection: psycopg.Connection, turn: random.Random) -> None:
    names = (f"New {turn.randrange(99)}", f"Name{turn.randrange(99)}")
    connection.execute("insert into people(first, last) values (%s, %s)", names)
    connection.execute("update people set first = %s, last = %s where id = %s", (*names, turn.randrange(1, 60)))


@contextlib.contextmanager
def writing(database: Database, write: Callable[[psycopg.Connection, random.Random], None]) -> Iterator[None]:
    over, failures = threading.Event(), []

    def go(seed: int) -> None:
        turn = random.Random(seed)
        try:
            with psycopg.connect(**reached(database), autocommit=True) as connection:
                while not over.is_set():
                    write(connection, turn)
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=go, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def wait_for_writes(database: Database, count: int) -> None:
    before = database.query("select max(id) from people")[0][0]
    while database.query("select max(id) from people")[0][0] < before + count:
        pass
