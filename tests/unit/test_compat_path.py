"""The way through the phases: whether nothing breaks on it, and from where there is no way back."""

from pathlib import Path

import pytest

from lab.compat.path import path_of
from lab.compat.statements import preparable, read_log
from lab.migrate import read_plan
from lab.migrate.plan import ChangePlan

ROOT = Path(__file__).resolve().parents[2]
PLAN = read_plan(ROOT / "sample_app/schema/plan.toml")


def told(plan: ChangePlan, red: set[tuple[str, str]] | None = None) -> list[str]:
    path = path_of(plan, ("v1", "v2"), red or set())
    return [f"{s.phase} {'+'.join(s.live)} back:{s.back or 'no'}{'' if s.right else ' wrong'}" for s in path.stops]


def test_the_sample_apps_way_leads_back_from_everywhere_but_its_end() -> None:
    assert told(PLAN) == [
        "base v1 back:nothing to go back from",
        "expanded v1 back:base",
        "backfilled v1 back:expanded",
        "backfilled v1+v2 back:roll v1",
        "backfilled v2 back:roll v1",
        "contracted v2 back:no",
    ]
    assert path_of(PLAN, ("v1", "v2"), set()).no_return == "contracted"


def test_a_red_cell_is_seen_on_the_way() -> None:
    assert [line for line in told(PLAN, {("backfilled", "v2")}) if "wrong" in line] == [
        "backfilled v1+v2 back:roll v1 wrong",
        "backfilled v2 back:roll v1 wrong",
    ]


@pytest.fixture
def naive(tmp_path: Path) -> ChangePlan:
    (tmp_path / "plan.toml").write_text(
        '[change]\nid = "c"\nversions = ["v1", "v2"]\n'
        '[[phase]]\nname = "base"\nserves = ["v1"]\n[[phase]]\nname = "renamed"\nserves = ["v2"]\n'
    )
    return read_plan(tmp_path / "plan.toml")


def test_a_plan_in_which_no_phase_serves_both_has_no_way(naive: ChangePlan) -> None:
    path = path_of(naive, ("v1", "v2"), set())

    assert path.gap == "no phase serves v1 and v2 at once: there is none in which to roll from one to the other"
    assert path.stops == ()


LOG = (
    '2026-01-01 10:00:00.1 UTC,"lab","cell_a",7,"172.1.0.3:5000",5,1,"SELECT",x,3/1,0,{severity},{code},'
    '"{message}",,,,,,{query},,,"sample_app","client backend",,0\n'
)


def line(message: str, *, severity: str = "LOG", code: str = "00000", query: str = "") -> str:
    quoted = '"' + query.replace('"', '""') + '"' if query else ""
    return LOG.format(message=message.replace('"', '""'), severity=severity, code=code, query=quoted)


def test_a_log_tells_what_was_run_and_what_failed_and_why() -> None:
    text = line("execute <unnamed>: select a\n from t where id = $1") + line(
        'column "a" does not exist', severity="ERROR", code="42703", query="select a\nfrom t"
    )

    ran, failed = read_log(text)

    assert (ran.database, ran.client, ran.statement) == ("cell_a", "172.1.0.3", "select a\n from t where id = $1")
    assert (failed.failed, failed.sqlstate, failed.message) == (True, "42703", 'column "a" does not exist')
    assert failed.query == "select a\nfrom t"


def test_statements_are_kept_once_whatever_values_are_written_out_in_them() -> None:
    rows = [
        "statement: select * from t where id = 1",
        "statement: select * from t where id = 2 ",
        "execute s1: insert into t values ($1)",
        "execute <unnamed>: insert into t  values ($1)",
        "statement: begin",
        "statement: set lock_timeout = 5",
        "connection authorized: user=lab",
    ]

    assert preparable(read_log("".join(map(line, rows)))) == (
        "select * from t where id = 1",
        "insert into t values ($1)",
    )
