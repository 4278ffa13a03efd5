"""Reads the plan of a change (TOML). What is wrong is said with the file, the table and the key."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.durations import seconds
from lab.errors import LabError
from lab.migrate.plan import Backfill, ChangePlan, Command, Fill, Phase
from lab.migrate.sync import PLACE, Sync

CHANGE_KEYS = ("id", "tables", "versions")
PHASE_KEYS = ("name", "serves", "up", "down", "backfill", "verify", "lost", "requires", "soak")
SYNC_KEYS = ("name", "table", "key", "key_type", "to_new", "to_old")
BACKFILL_KEYS = ("file", "sync", "table", "key", "key_type", "set", "where", "remaining", "batch", "delay")
COMMAND_KEYS = ("command", "timeout")
_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


def read_plan(path: Path) -> ChangePlan:
    """Read a plan file. LabError `schema-plan` says what is wrong with it."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unusable(path, "", str(error)) from error
    root = _Table(path, "", document)
    root.only(("change", "sync", "phase"))
    change = root.table("change")
    change.only(CHANGE_KEYS)
    syncs = {sync.name: sync for sync in map(_sync, root.tables("sync"))}
    tables = root.tables("phase")
    if not tables:
        raise root.wrong("phase", "a plan has at least one [[phase]]")
    phases = tuple(_phase(table.called("name"), syncs) for table in tables)
    _once(root, [phase.name for phase in phases])
    served = list(dict.fromkeys(version for phase in phases for version in sorted(phase.serves)))
    versions = change.names("versions") or tuple(served)
    if missing := [version for version in served if version not in versions]:
        raise change.wrong("versions", f"{', '.join(missing)} of `serves` is not among them")
    for table, phase in zip(tables, phases, strict=True):
        if phase.min_app is not None and phase.min_app not in versions:
            raise table.called("name").wrong("requires.min_app", f"{phase.min_app!r} is none of {', '.join(versions)}")
    return ChangePlan(
        id=change.text("id"), phases=phases, file=path, tables=change.names("tables"), versions=versions, syncs=syncs
    )


def _phase(table: "_Table", syncs: Mapping[str, Sync]) -> Phase:
    table.only(PHASE_KEYS)
    if "serves" not in table.data:
        raise table.wrong("serves", "is missing: a list of versions, or []")
    min_app = None
    if "requires" in table.data:
        requires = table.table("requires")
        requires.only(("min_app",))
        min_app = requires.text("min_app")
    return Phase(
        name=table.text("name"),
        serves=frozenset(table.names("serves")),
        up=_step(table, "up"),
        down=_step(table, "down"),
        backfill=_backfill(table, syncs) if "backfill" in table.data else None,
        verify=_verify(table, syncs) if "verify" in table.data else None,
        lost=table.file("lost") if "lost" in table.data else None,
        min_app=min_app,
        soak=table.seconds("soak", 0.0),
    )


def _step(table: "_Table", key: str) -> Path | Command | None:
    value = table.data.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return table.file(key)
    inner = table.table(key)
    inner.only(COMMAND_KEYS)
    argv = inner.names("command")
    if not argv:
        raise inner.wrong("command", 'is missing: a list of words, such as ["alembic", "upgrade", "expand@head"]')
    return Command(argv=argv, folder=table.path.parent, seconds=inner.seconds("timeout", 600.0))


def _backfill(table: "_Table", syncs: Mapping[str, Sync]) -> Backfill:
    if isinstance(table.data["backfill"], str):
        path = table.file("backfill")
        if path.suffix != ".toml":
            return Backfill(source=path)
        try:
            inner = _Table(path, "", tomllib.loads(path.read_text()))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise _unusable(path, "", str(error)) from error
    else:
        inner = table.table("backfill")
    inner.only(BACKFILL_KEYS)
    ways = [way for way in ("file", "sync", "table") if way in inner.data]
    if len(ways) != 1:
        raise inner.wrong("file", "or `sync`, or `table` says what is filled: one of the three")
    return Backfill(
        source=_source(inner, ways[0], syncs),
        remaining=inner.text("remaining") if "remaining" in inner.data else None,
        batch=inner.count("batch", 500),
        delay=inner.seconds("delay", 0.005),
    )


def _source(inner: "_Table", way: str, syncs: Mapping[str, Sync]) -> Path | Fill | Sync:
    if way == "file":
        return inner.file("file")
    if way == "sync":
        return _named(inner, "sync", syncs)
    return Fill(
        table=inner.identifier("table"),
        key=inner.identifier("key"),
        key_type=inner.text("key_type", "bigint"),
        set=inner.mapping("set"),
        where=inner.text("where"),
    )


def _verify(table: "_Table", syncs: Mapping[str, Sync]) -> Path | Sync:
    if isinstance(table.data["verify"], str):
        return table.file("verify")
    inner = table.table("verify")
    inner.only(("sync",))
    return _named(inner, "sync", syncs)


def _sync(table: "_Table") -> Sync:
    table = table.called("name")
    table.only(SYNC_KEYS)
    to_new, to_old = table.mapping("to_new"), table.mapping("to_old")
    for key, mapping, known in (("to_new", to_new, to_old), ("to_old", to_old, to_new)):
        for column, sql in mapping.items():
            if strange := sorted(set(PLACE.findall(sql)) - set(known)):
                names = ", ".join(f"{{{name}}}" for name in known)
                raise table.wrong(f"{key}.{column}", f"{{{strange[0]}}} is not on the other side: {names}")
    return Sync(
        name=table.identifier("name"),
        table=table.identifier("table"),
        key=table.identifier("key"),
        key_type=table.text("key_type", "bigint"),
        to_new=to_new,
        to_old=to_old,
    )


def _named(table: "_Table", key: str, syncs: Mapping[str, Sync]) -> Sync:
    name = table.text(key)
    if name not in syncs:
        raise table.wrong(key, f"there is no [[sync]] named {name!r}; there is: {', '.join(sorted(syncs)) or 'none'}")
    return syncs[name]


def _once(root: "_Table", names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise root.wrong("phase", f"there are two phases named {min(twice)!r}")


class _Table:
    """One table of the file, which knows its own place for the errors."""

    def __init__(self, path: Path, place: str, data: Mapping[str, Any]) -> None:
        self.path = path
        self.place = place
        self.data = data

    def wrong(self, key: str, what: str) -> LabError:
        return _unusable(self.path, self.place, f"`{key}` {what}")

    def called(self, key: str) -> "_Table":
        """Named by what stands under `key`, where that is a name."""
        name = self.data.get(key)
        return _Table(self.path, f"{self.place} {name!r}", self.data) if isinstance(name, str) else self

    def only(self, keys: tuple[str, ...]) -> None:
        for key in self.data:
            if key not in keys:
                raise self.wrong(key, f"means nothing here; known: {', '.join(keys)}")

    def table(self, key: str) -> "_Table":
        value = self.data.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "is missing: a table" if value is None else "has to be a table")
        return _Table(self.path, f"{self.place}.{key}" if self.place else f"[{key}]", value)

    def tables(self, key: str) -> list["_Table"]:
        value = self.data.get(key, [])
        if not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
            raise self.wrong(key, f"has to be [[{key}]] tables")
        return [_Table(self.path, f"[[{key}]] {n}", one) for n, one in enumerate(value, start=1)]

    def text(self, key: str, default: str | None = None) -> str:
        value = self.data.get(key, default)
        if not (isinstance(value, str) and value.strip()):
            raise self.wrong(key, "is missing: a text" if value is None else "has to be a text")
        return value

    def identifier(self, key: str) -> str:
        text = self.text(key)
        if not _NAME.fullmatch(text):
            raise self.wrong(key, f"is {text!r}: a plain name of small letters, digits and _, with or without a schema")
        return text

    def names(self, key: str) -> tuple[str, ...]:
        value = self.data.get(key, [])
        if not (isinstance(value, list) and all(isinstance(one, str) and one for one in value)):
            raise self.wrong(key, "has to be a list of texts")
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        value = self.table(key)
        if not value.data:
            raise self.wrong(key, "is empty: at least one column = SQL")
        for column in value.data:
            if not _NAME.fullmatch(column):
                raise value.wrong(column, "is no plain column name")
        return {column: value.text(column) for column in value.data}

    def count(self, key: str, default: int) -> int:
        value = self.data.get(key, default)
        if not (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
            raise self.wrong(key, "has to be a number from 1")
        return value

    def seconds(self, key: str, default: float) -> float:
        if key not in self.data:
            return default
        try:
            return seconds(self.data[key])
        except ValueError as error:
            raise self.wrong(key, f"is wrong: {error}") from error

    def file(self, key: str) -> Path:
        path = self.path.parent / self.text(key)
        if not path.is_file():
            raise self.wrong(key, f"names {self.text(key)}, and there is no such file")
        return path


def _unusable(path: Path, place: str, what: str) -> LabError:
    at = f" {place}" if place else ""
    return LabError(
        id="schema-plan",
        what=f"the schema plan cannot be used: {path.name}{at}: {what}",
        where=str(path),
        fix="mend the file; docs/reference/schema-plan.md has every key",
    )
