"""The change's file: every key is read, and what is wrong is said with file, table and key."""

from pathlib import Path

import pytest

from lab.errors import LabError
from lab.migrate import read_plan
from lab.migrate.plan import NOTHING, Command, Fill
from lab.migrate.sync import Sync

WHOLE = """
[change]
id = "c"
tables = ["people"]
versions = ["v0", "v1", "v2"]

[[sync]]
name = "names"
table = "people"
key = "id"
to_new = {full = "upper({name})"}
to_old = {name = "lower({full})"}

[[phase]]
name = "base"
serves = ["v1"]

[[phase]]
name = "expanded"
serves = ["v1"]
up = {command = ["alembic", "upgrade", "expand@head"], timeout = "2m"}
down = "x.sql"
lost = "x.sql"

[[phase]]
name = "backfilled"
serves = ["v1", "v2"]
backfill = {sync = "names", batch = 20, delay = "10ms"}
verify = {sync = "names"}

[[phase]]
name = "indexed"
serves = ["v1", "v2"]
up = "x.sql"

[[phase]]
name = "contracted"
serves = ["v2"]
up = "x.sql"
requires.min_app = "v2"
soak = "60s"
"""


def written(folder: Path, text: str) -> Path:
    (folder / "x.sql").write_text("select 1")
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, WHOLE))
    _base, expanded, backfilled, _indexed, contracted = plan.phases
    assert expanded.up == Command(argv=("alembic", "upgrade", "expand@head"), folder=tmp_path, seconds=120)
    assert (expanded.down, expanded.lost) == (tmp_path / "x.sql", tmp_path / "x.sql")
    assert backfilled.backfill is not None
    assert isinstance(backfilled.backfill.source, Sync)
    assert (backfilled.backfill.batch, backfilled.backfill.delay) == (20, 0.01)
    assert backfilled.verify == plan.syncs["names"]
    assert (contracted.min_app, contracted.soak) == ("v2", 60.0)
    assert (plan.tables, plan.versions) == (("people",), ("v0", "v1", "v2"))


def test_a_backfill_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "fill.toml").write_text(
        'table = "people"\nkey = "id"\nwhere = "b is null"\nremaining = "select 3"\n[set]\nb = "a + 1"\n'
    )
    text = '[change]\nid = "c"\n[[phase]]\nname = "p"\nserves = []\nbackfill = "fill.toml"\n'
    backfill = read_plan(written(tmp_path, text)).phases[0].backfill
    assert backfill is not None
    assert backfill.source == Fill(table="people", key="id", set={"b": "a + 1"}, where="b is null")
    assert backfill.remaining == "select 3"


WRONG = [
    ("[change", "", "plan.toml: Invalid statement (at line 2"),
    ('id = "c"', "", "plan.toml [change]: `id` is missing"),
    ('id = "c"', "id = 3", "plan.toml [change]: `id` has to be a text"),
    ('id = "c"', 'id = "c"\nname = "d"', "plan.toml [change]: `name` means nothing here; known: id, tables"),
    ('["v0", "v1", "v2"]', '["v0", "v1"]', "plan.toml [change]: `versions` v2 of `serves` is not among them"),
    ('name = "base"\nserves = ["v1"]', 'name = "base"', "plan.toml [[phase]] 1 'base': `serves` is missing"),
    ('name = "base"\nserves = ["v1"]', 'name = "base"\nserves = "v1"', "[[phase]] 1 'base': `serves` has to be a list"),
    ('name = "indexed"', 'name = "base"', "there are two phases named 'base'"),
    ('down = "x.sql"', 'down = "y.sql"', "[[phase]] 2 'expanded': `down` names y.sql, and there is no such file"),
    ('timeout = "2m"', 'timeout = "2"', "[[phase]] 2 'expanded'.up: `timeout` is wrong: '2' is not a duration"),
    ('["alembic", "upgrade", "expand@head"]', "[]", "[[phase]] 2 'expanded'.up: `command` is missing"),
    ("batch = 20", "batch = 0", "[[phase]] 3 'backfilled'.backfill: `batch` has to be a number from 1"),
    ('{sync = "names", batch', '{sync = "no", batch', "'backfilled'.backfill: `sync` there is no [[sync]] named 'no'"),
    ('{sync = "names", batch', "{batch", "'backfilled'.backfill: `file` or `sync`, or `table` says what is filled"),
    ('min_app = "v2"', 'min_app = "v9"', "[[phase]] 5 'contracted': `requires.min_app` 'v9' is none of v0, v1, v2"),
    ("upper({name})", "upper({nam})", "[[sync]] 1 'names': `to_new.full` {nam} is not on the other side: {name}"),
    ('table = "people"\nkey', 'table = "People; drop"\nkey', "[[sync]] 1 'names': `table` is 'People; drop'"),
    ("[[phase]]", "[[phases]]", "plan.toml: `phases` means nothing here"),
]


@pytest.mark.parametrize(("good", "bad", "words"), WRONG)
def test_what_is_wrong_is_said_with_file_table_and_key(tmp_path: Path, good: str, bad: str, words: str) -> None:
    assert good in WHOLE
    with pytest.raises(LabError) as failure:
        read_plan(written(tmp_path, WHOLE.replace(good, bad)))
    assert failure.value.id == "schema-plan"
    assert words in failure.value.what
    assert failure.value.where.endswith("plan.toml")


def test_a_plan_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"nothing\.toml"):
        read_plan(tmp_path / "nothing.toml")


def test_which_versions_a_step_takes_away(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, WHOLE))
    assert plan.gone_at(NOTHING) == plan.gone_at("base") == plan.gone_at("indexed") == frozenset()
    assert plan.gone_at("contracted") == {"v0", "v1"}  # v0 is older than what the phase requires
    assert plan.lost_by("indexed", "contracted") == {"v0", "v1"}
    assert plan.lost_by("backfilled", "expanded") == {"v2"}
    assert plan.lost_by("indexed", "backfilled") == frozenset()


def test_each_command_knows_how_far_it_goes(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, WHOLE))
    assert [plan.goal_of(command).name for command in ("expand", "backfill")] == ["expanded", "indexed"]
    assert [plan.command_to(p.name) for p in plan.phases[1:]] == ["expand", "backfill", "expand", "contract"]
