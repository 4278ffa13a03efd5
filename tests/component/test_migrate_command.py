"""A phase that another tool takes: a command of one's own, and a real Alembic with its expand and contract branches."""

import sys
from pathlib import Path

import psycopg
import pytest

from lab import migrate
from lab.database import Database
from lab.errors import LabError
from lab.migrate.commands import APPLICATION
from lab.migrate.waiting import Manner
from tests.component.conftest import Postgres
from tests.component.migrate_world import database_on, reached, write_plan

PYTHON = sys.executable
OURS = f"""
[change]
id = "command"

[[phase]]
name = "base"
serves = ["v1"]
up = "base.sql"

[[phase]]
name = "expanded"
serves = ["v1", "v2"]
up = {{command = ["{PYTHON}", "expand.py"], timeout = "20s"}}
down = {{command = ["{PYTHON}", "-c", "raise SystemExit(3)"]}}
"""
BASE = "create table things (id int);"
EXPAND = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    print("from", os.getcwd(), os.environ["PGDATABASE"])
    connection.execute("alter table things add column if not exists extra text")
"""


@pytest.fixture
def database(postgres: Postgres) -> Database:
    return database_on(postgres, "command")


@pytest.fixture
def plan(tmp_path: Path) -> migrate.ChangePlan:
    return write_plan(tmp_path, OURS, base_sql=BASE, expand_py=EXPAND)


def columns(database: Database, table: str) -> set[str]:
    sql = "select column_name from information_schema.columns where table_name = %s"
    return {row[0] for row in database.query(sql, (table,))}


def test_a_command_is_told_where_the_database_is(database: Database, plan: migrate.ChangePlan) -> None:
    migrate.go_to(database, plan, "expanded")
    assert columns(database, "things") == {"id", "extra"}


def test_a_command_that_fails_leaves_the_phase_and_its_last_lines_are_shown(
    database: Database, plan: migrate.ChangePlan
) -> None:
    migrate.go_to(database, plan, "base")
    (plan.file.parent / "expand.py").write_text("print('before'); raise RuntimeError('no')")
    with pytest.raises(LabError) as failure:
        migrate.go_to(database, plan, "expanded")
    assert failure.value.id == "schema-command"
    assert "exit code 1" in failure.value.what
    assert failure.value.where.endswith("RuntimeError: no")
    assert migrate.current_phase(database) == "base"
    (plan.file.parent / "expand.py").write_text(EXPAND)
    migrate.go_to(database, plan, "expanded")
    with pytest.raises(LabError, match="exit code 3"):
        migrate.step_down(database, plan)
    assert migrate.current_phase(database) == "expanded"


def test_a_command_gives_way_on_a_busy_table_and_is_run_again(database: Database, plan: migrate.ChangePlan) -> None:
    migrate.go_to(database, plan, "base")
    told: list[str] = []
    with psycopg.connect(**reached(database)) as other:
        other.execute("lock table things")
        manner = Manner(sleep=lambda _: other.rollback())
        migrate.go_to(database, plan, "expanded", lambda _, what: told.append(what), manner=manner)
    assert [what for what in told if what.endswith("the table is busy, try 1")]
    assert columns(database, "things") == {"id", "extra"}


def test_what_an_earlier_command_still_does_is_waited_for(database: Database, plan: migrate.ChangePlan) -> None:
    """A run that was killed leaves its tool running; a second one beside it would do everything twice."""
    migrate.go_to(database, plan, "base")
    orphan = psycopg.connect(**reached(database), application_name=APPLICATION)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert "extra" not in columns(database, "things")
        orphan.close()

    migrate.go_to(database, plan, "expanded", manner=Manner(sleep=pause))
    assert pauses
    assert columns(database, "things") == {"id", "extra"}


ALEMBIC = f"""
[change]
id = "alembic"
versions = ["v1", "v2"]

[[phase]]
name = "base"
serves = ["v1"]
up = {{command = ["{PYTHON}", "-m", "alembic", "upgrade", "base_1"]}}

[[phase]]
name = "expanded"
serves = ["v1", "v2"]
up = {{command = ["{PYTHON}", "-m", "alembic", "upgrade", "expand@head"]}}
down = {{command = ["{PYTHON}", "-m", "alembic", "downgrade", "base_1"]}}

[[phase]]
name = "contracted"
serves = ["v2"]
up = {{command = ["{PYTHON}", "-m", "alembic", "upgrade", "contract@head"]}}
"""
INI = "[alembic]\nscript_location = %(here)s/migrations\npath_separator = os\n"
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op
revision, down_revision, branch_labels, depends_on = {names}
def upgrade():
    op.execute({up!r})
def downgrade():
    op.execute({down!r})
"""


@pytest.fixture
def alembic(tmp_path: Path) -> migrate.ChangePlan:
    """One change as Alembic's users write it: a branch to expand, and one to contract that depends on it."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "alembic.ini").write_text(INI)
    (versions.parent / "env.py").write_text(ENV)
    base, expand, contract = (
        ("base_1", None, None, None),
        ("expand_1", "base_1", ("expand",), None),
        ("contract_1", "base_1", ("contract",), "expand_1"),
    )
    for names, up, down in (
        (base, "create table people (id int, name text)", "drop table people"),
        (expand, "alter table people add column full_name text", "alter table people drop column full_name"),
        (contract, "alter table people drop column name", "alter table people add column name text"),
    ):
        (versions / f"{names[0]}.py").write_text(REVISION.format(names=names, up=up, down=down))
    return write_plan(tmp_path, ALEMBIC)


def test_alembic_takes_the_phases_forth_and_back_and_gives_way_on_a_busy_table(
    database: Database, alembic: migrate.ChangePlan
) -> None:
    migrate.go_to(database, alembic, "base")
    told: list[str] = []
    with psycopg.connect(**reached(database)) as other:
        other.execute("lock table people")
        manner = Manner(sleep=lambda _: other.rollback())
        migrate.go_to(database, alembic, "expanded", lambda _, what: told.append(what), manner=manner)
    assert [what for what in told if "is busy" in what]
    assert columns(database, "people") == {"id", "name", "full_name"}
    assert migrate.step_down(database, alembic) == "base"
    assert columns(database, "people") == {"id", "name"}
    migrate.go_to(database, alembic, "contracted")
    assert columns(database, "people") == {"id", "full_name"}
    phases = ["base", "expanded", "base", "expanded", "contracted"]
    assert database.query("select phase from lab_schema order by id") == [(phase,) for phase in phases]
    assert migrate.gone_versions(database) == {"v1": "contracted"}
