"""The SQL of each schema step, by itself."""

import tomllib

import psycopg
import pytest

from sample_app import names, v1, v2


def test_the_plan_names_its_phases_what_they_serve_and_files_that_exist(root) -> None:
    folder = root / "sample_app" / "schema"
    phases = tomllib.loads((folder / "plan.toml").read_text())["phase"]
    files = {phase[key] for phase in phases for key in ("up", "down", "lost", "verify") if key in phase}
    files |= {phase["backfill"]["file"] for phase in phases if "backfill" in phase}

    assert [(phase["name"], phase["serves"]) for phase in phases] == [
        ("base", ["v1"]),
        ("expanded", ["v1"]),
        ("backfilled", ["v1", "v2"]),
        ("contracted", ["v2"]),
    ]
    assert files == {path.name for path in folder.glob("*.sql")}
    assert {name for phase in phases for name in phase["serves"]} == {v1.CODE.name, v2.CODE.name}


def test_the_backfill_fills_every_row_in_batches_and_stops(old_rows) -> None:
    old_rows.run("10_expand.sql")

    assert old_rows.verify() == (5, 0)
    assert old_rows.backfill(batch=2) == [2, 2, 1]
    assert old_rows.backfill(batch=2) == []
    assert old_rows.verify() == (0, 0)


def test_verify_sees_rows_whose_sides_differ(backfilled) -> None:
    backfilled.query("alter table parcels disable trigger parcels_sync_names")
    backfilled.query("update parcels set recipient_name = 'Someone Else' where id = 1")

    assert backfilled.verify() == (0, 1)


def test_sql_and_python_split_and_join_alike(backfilled, old_names) -> None:
    for name in (*old_names, " Ann ", "", "   ", "a b c d"):
        (row,) = backfilled.query(
            "select parcels_first_name(%s), parcels_last_name(%s)",
            (name, name),
        )
        (joined,) = backfilled.query("select parcels_recipient_name(%s, %s)", row)

        assert row == names.split(name)
        assert joined == (names.join(*row),)


def test_contract_leaves_nothing_behind(backfilled) -> None:
    backfilled.run("30_contract.sql")

    columns = backfilled.query(
        "select column_name, is_nullable from information_schema.columns "
        "where table_name = 'parcels' and column_name in ('recipient_name', 'first_name', 'last_name') order by 1"
    )
    assert columns == [("first_name", "NO"), ("last_name", "NO")]
    assert backfilled.query("select proname from pg_proc where proname ~ '^parcels'") == []
    assert backfilled.query("select tgname from pg_trigger where not tgisinternal") == []
    assert backfilled.query("select conname from pg_constraint where conname = 'parcels_names_present'") == []


def test_contract_stops_at_a_row_that_lacks_the_new_names_and_can_be_tried_again(old_rows) -> None:
    old_rows.run("10_expand.sql")
    with pytest.raises(psycopg.errors.CheckViolation):
        old_rows.run("30_contract.sql")

    # the check that stands from the failed try holds for new rows: the trigger fills them
    old_rows.query("insert into parcels (key, recipient_name, address) values ('new', 'Eve Adams', '1')")
    old_rows.backfill()
    old_rows.run("30_contract.sql")

    assert old_rows.query("select count(*) from parcels where first_name is null") == [(0,)]
