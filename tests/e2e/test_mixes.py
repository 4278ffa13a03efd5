"""The silent case on real containers: each version writes what the other does not read, and no request fails."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, LabCommand

pytestmark = pytest.mark.docker

NAIVE = """-- lab:tx
alter table parcels add column first_name text, add column last_name text;
update parcels set first_name = split_part(recipient_name, ' ', 1),
    last_name = substr(recipient_name, length(split_part(recipient_name, ' ', 1)) + 2);
create function fill_names() returns trigger language plpgsql as $$
begin
    if new.recipient_name is null then
        new.recipient_name := new.first_name || ' ' || new.last_name;
    else
        new.first_name := split_part(new.recipient_name, ' ', 1);
        new.last_name := substr(new.recipient_name, length(new.first_name) + 2);
    end if;
    return new;
end $$;
create trigger fill_names before insert on parcels for each row execute function fill_names();
-- lab:end
"""
"""It fills both sides of a new row. That a name may change was forgotten."""
PLAN = """[change]
id = "split-name-as-learnt"

[[phase]]
name = "base"
serves = ["v1"]
up = "base.sql"

[[phase]]
name = "both"
serves = ["v1", "v2"]
up = "both.sql"
"""


@pytest.fixture
def learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody's own, outside the checkout."""
    shutil.copy(ROOT / "sample_app/schema/00_base.sql", tmp_path / "base.sql")
    (tmp_path / "both.sql").write_text("select 1;\n")
    (tmp_path / "plan.toml").write_text(PLAN)
    monkeypatch.setenv("LAB_SCHEMA_PLAN", str(tmp_path / "plan.toml"))
    return tmp_path


def test_old_names_that_are_read_back_fail_a_roll_without_one_error_and_name_the_pair(
    new_lab: Callable[[str], LabCommand], learner: Path
) -> None:
    lab = new_lab("mixes")
    lab.up("--replicas", "2")
    (before,) = lab("plan", "v2", "--json").json["schema_steps"]
    (learner / "both.sql").write_text(NAIVE)
    (after,) = lab("plan", "v2", "--json").json["schema_steps"]
    assert (before["contents"][0][:19], after["contents"][0][:22]) == ("both.sql:1 select 1", "both.sql:2 alter table")

    done = lab("roll", "v2", "--wave-bake", "6s", "--json")

    verdict = done.json
    assert "outcome" in verdict, done.err
    assert (done.exit_code, verdict["outcome"], verdict["dropped_by_class"].keys()) == (1, "fail", {"contract"})
    assert verdict["schema_breakages"] == []
    stale = {(mix["writer"], mix["reader"]): mix for mix in verdict["mixes"] if mix["fault"] == "stale"}
    assert {("v1", "v2"), ("v2", "v1")} & stale.keys()
    for mix in stale.values():
        assert (mix["phase"], mix["field"], mix["promised"]) == ("both", "recipient_name", True)
        assert mix["fix"].startswith("lab rollback takes v2 out of it again; then mend the schema's plan")
    assert " data       stale " in done.err
    told = lab("report").out
    assert "on phase both, which the plan promises" in told
    assert "  written by  read by  answers  wrong" in told

    # a page of v2 asks v1-naive-page for a script that only v2 has: no schema's fault, and its verdict says so
    back = lab(
        "roll", "v1-naive-page", "--wave-bake", "6s", "--cohorts", "browser=1", "--min-requests", "100", "--json"
    )
    pages = {(mix["writer"], mix["reader"]): mix for mix in back.json["mixes"]}
    asked = pages["v2", "v1-naive-page"]
    assert (back.exit_code, asked["fault"], asked["code"], asked["promised"]) == (1, "error", None, None)
    assert asked["fix"].startswith("both versions have to answer for both pages")
