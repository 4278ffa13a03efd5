"""Our own rules on a phase's SQL: each finds what squawk does not see, and lets the safe form pass."""

from pathlib import Path

import pytest

from lab.compat.lint import lint
from lab.compat.rules import RULES, Step, findings
from lab.migrate import read_plan
from lab.migrate.sql import units_of

ROOT = Path(__file__).resolve().parents[2]
BAD = {
    "contract-statement-early": "alter table t drop column a",
    "default-changed": "alter table t alter column a set default 'x'",
    "delete-without-where": "delete from t",
    "lock-taken-by-hand": "lock table t in share mode",
    "rights-revoked": "revoke select on t from app",
    "sync-trigger-dropped-early": "drop trigger t_sync on t",
    "table-emptied": "truncate t",
    "trigger-apart-from-its-columns": (
        "alter table t add column b text;\n"
        "create trigger t_sync before insert or update on t for each row execute function f()"
    ),
    "unbatched-write": "update t set a = b",
    "view-of-everything": "create or replace view v as select * from t",
    "wait-without-limit": "-- lab:tx\nset local lock_timeout = 0;\nalter table t add column b text;\n-- lab:end",
}
GOOD = {
    "contract-statement-early": "alter table t add column a text",
    "default-changed": "alter table t add column a text default 'x'",
    "delete-without-where": "delete from t where id = 1",
    "lock-taken-by-hand": "select 'lock table t'",
    "rights-revoked": "grant select on t to app",
    "sync-trigger-dropped-early": "create trigger t_sync before insert on t for each row execute function f()",
    "table-emptied": "select 'truncate t'",
    "trigger-apart-from-its-columns": (
        "-- lab:tx\nalter table t add column b text;\n"
        "create trigger t_sync before insert or update on t for each row execute function f();\n-- lab:end"
    ),
    "unbatched-write": "update t set a = b where id in (select id from t limit 100)",
    "view-of-everything": "create view v as select id, a from t where 'x' = '*'",
    "wait-without-limit": "-- lab:tx\nset local lock_timeout = '50ms';\nalter table t add column b text;\n-- lab:end",
}


def step(sql: str, *, contracts: bool = False) -> Step:
    units = units_of(sql, file="10.sql", syncs={})
    return Step(phase="expanded", file="10.sql", units=units, contracts=contracts)


def rules_that_hit(sql: str, *, contracts: bool = False) -> set[str]:
    return {found.rule for found in findings(step(sql, contracts=contracts))}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_it_is_for_and_lets_the_safe_form_pass(rule: str) -> None:
    assert rule in rules_that_hit(BAD[rule])
    assert rule not in rules_that_hit(GOOD[rule])


def test_what_a_contraction_is_for_is_found_only_where_nothing_is_contracted() -> None:
    sql = "-- lab:tx\ndrop trigger t_sync on t;\nalter table t drop column a, alter column b set not null;\n-- lab:end"

    assert rules_that_hit(sql) == {"contract-statement-early", "sync-trigger-dropped-early"}
    assert rules_that_hit(sql, contracts=True) == set()


def test_a_finding_names_the_line_of_its_statement() -> None:
    (found,) = findings(step("-- first\n\nselect 1;\nupdate t\nset a = 1"))

    assert (found.rule, found.file, found.line) == ("unbatched-write", "10.sql", 4)


def test_the_bodies_of_functions_are_not_taken_for_statements() -> None:
    assert (
        rules_that_hit("create function f() returns void language sql as $$ delete from t; update t set a = 1 $$")
        == set()
    )


def test_the_sample_apps_own_change_has_nothing_to_find() -> None:
    assert lint(read_plan(ROOT / "sample_app/schema/plan.toml")) == ()


def test_squawk_is_asked_and_its_words_about_style_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "base.sql").write_text("create table t (id bigint primary key)")
    (tmp_path / "up.sql").write_text("alter table t\n  add column a int not null;\n\ncreate index t_a on t (a);")
    (tmp_path / "plan.toml").write_text(
        '[change]\nid = "c"\n[[phase]]\nname = "base"\nserves = ["v1"]\nup = "base.sql"\n'
        '[[phase]]\nname = "expanded"\nserves = ["v1"]\nup = "up.sql"\n'
    )

    found = {(one.rule, one.line) for one in lint(read_plan(tmp_path / "plan.toml"))}

    assert found == {("adding-required-field", 2), ("require-concurrent-index-creation", 4)}
