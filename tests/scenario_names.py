"""Changes whose table, columns, function and id are made up at run time: nobody can know them by heart."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from lab.assembly import Lab
from lab.compat.model import Matrix
from lab.manifest import CompatKeys, Version, read_manifest
from lab.migrate import read_plan
from lab.operations.compat import CompatRequest, compat
from lab.project import project_at
from tests.scenarios import FOLDER, ROOT

PROJECT = "scenario-names"
PLACES = ("table", "column", "other", "function", "change")
_BASE = """
-- lab:tx
create function {function}(text) returns text immutable language sql as $$ select btrim($1) $$;
create table {table} (
    id bigint generated always as identity primary key, key text not null unique, recipient_name text not null,
    {column} text not null, status text not null default 'registered'
);
create table lab_executions (
    id bigint generated always as identity primary key, request_id text not null, attempt integer not null,
    operation text not null, replica text not null, version text not null,
    at timestamptz not null default clock_timestamp()
);
-- lab:end
"""
_PLAN = """
[change]
id = "{change}"
versions = ["old", "new"]

[[phase]]
name = "base"
serves = ["old"]
up = "base.sql"

[[phase]]
name = "changed"
serves = ["old", "new"]
up = "step.sql"
"""
_CODE = """
[statements]
insert = '''
insert into {table} (key, recipient_name, {column}) values (%(key)s, %(recipient_name)s, %(address)s)
on conflict (key) do nothing
returning id, key, recipient_name, {shown} as address, status
'''
by_key = "select id, key, recipient_name, {shown} as address, status from {table} where key = %(key)s"
by_id = "select id, key, recipient_name, {shown} as address, status from {table} where id = %(id)s"
page = '''
select id, key, recipient_name, {shown} as address, status from {table} where id > %(after)s order by id limit %(limit)s
'''
update = '''
update {table} set recipient_name = coalesce(%(recipient_name)s, recipient_name),
    {column} = coalesce(%(address)s, {column}), status = coalesce(%(status)s, status)
where id = %(id)s
returning id, key, recipient_name, {shown} as address, status
'''
"""
STEPS: Mapping[str, str] = {
    "rename-column": "alter table {table} rename column {column} to {other};",
    "unknown": "drop function {function}(text);",
}
"""By what the matrix has to call it: the second is in no catalogue."""


def ask(entry: str, folder: Path, seed: int) -> Matrix:
    """Levels 0 and 1: what SQL alone tells."""
    chance = Random(f"{entry} {seed}")
    names = {place: "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=8)) + "_x" for place in PLACES}
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in (("base.sql", _BASE), ("step.sql", STEPS[entry]), ("plan.toml", _PLAN)):
        (folder / file).write_text(text.format(**names))
    renamed = entry == "rename-column"
    old = _CODE.format(**names, shown=names["column"] if renamed else f"{names['function']}({names['column']})")
    new = _CODE.format(**{**names, "column": names["other"] if renamed else names["column"]}, shown="{shown}")
    new = new.replace("{shown}", names["other"] if renamed else names["column"])
    lab, plan = Lab(project=project_at(ROOT, PROJECT)), read_plan(folder / "plan.toml")
    read = read_manifest(ROOT / "compose" / "lab.yaml")
    versions = {
        name: Version(name=name, serves_as=name, image=None, environment={"APP_CODE": name, "APP_CODE_TEXT": text})
        for name, text in (("old", old), ("new", new))
    }
    keys = CompatKeys(checks=FOLDER / "compat.toml", environment=read.compat.environment)
    # what the manifest names, as if it named these
    vars(lab)["manifest"] = replace(read, versions=versions, schema_plan=plan.file, compat=keys)
    vars(lab)["plan"] = plan
    return compat(lab, CompatRequest(versions=("old", "new"), levels="0-1"), lambda _line: None)
