"""PURE: a trigger that keeps two shapes of the same data equal, made from a mapping of columns, and its proof.

Whichever version writes, only the side whose source changed is computed anew: a value that the mapping would lose on
its way there and back stays as it was written.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PLACE = re.compile(r"\{(\w+)\}")
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """`to_new`: new column -> SQL of the old ones, each as `{column}`; `to_old` the other way."""

    name: str
    table: str
    key: str
    to_new: Mapping[str, str]
    to_old: Mapping[str, str]
    key_type: str = "bigint"

    @property
    def function(self) -> str:
        schema, _, table = self.table.rpartition(".")
        return f"{schema}{'.' if schema else ''}{table}_sync_{self.name}"

    def create(self) -> tuple[str, ...]:
        """In the same transaction as the columns: a moment with the columns and without the trigger loses writes."""
        trigger, call = self.function.rpartition(".")[2], f"function {self.function}()"
        return (
            self._function(),
            f"create trigger {trigger} before insert or update on {self.table} for each row execute {call}",
        )

    def drop(self) -> tuple[str, ...]:
        """In the same transaction as the columns, and before them: a trigger without its column fails every write."""
        trigger = self.function.rpartition(".")[2]
        return (f"drop trigger {trigger} on {self.table}", f"drop function {self.function}()")

    def divergence(self) -> str:
        """Two numbers that must be 0: rows without the new shape, and rows whose shapes neither version explains."""
        return (
            f"select count(*) filter (where {self.missing('t')}) as missing,\n"
            f"       count(*) filter (where {self._diverged()}) as diverged\n"
            f"from {self.table} t"
        )

    def examples(self) -> str:
        """Some of the rows that are wrong."""
        columns = ", ".join(f"t.{column}" for column in (self.key, *self.to_old, *self.to_new))
        where = f"({self.missing('t')}) or ({self._diverged()})"
        return f"select {columns} from {self.table} t where {where} order by t.{self.key} limit {_SHOWN}"  # noqa: S608

    def missing(self, row: str) -> str:
        gaps = [
            f"({row}.{column} is null and ({_in(row)(sql)}) is not null)" for column, sql in sorted(self.to_new.items())
        ]
        return " or ".join(gaps)

    def _diverged(self) -> str:
        forth, back = self._differs(self.to_new, "t"), self._differs(self.to_old, "t")
        return f"not ({self.missing('t')}) and {forth} and {back}"

    def _differs(self, mapping: Mapping[str, str], row: str) -> str:
        names = sorted(mapping)
        have = ", ".join(f"{row}.{name}" for name in names)
        want = ", ".join(_in(row)(mapping[name]) for name in names)
        return f"({have}) is distinct from ({want})"

    def _function(self) -> str:
        new, old = sorted(self.to_new), sorted(self.to_old)
        given = _all(old, "new.{} is null")
        bare = _all(new, "new.{} is null")
        return f"""create function {self.function}() returns trigger language plpgsql as $lab$
begin
    if tg_op = 'INSERT' then
        if {bare} then
            {_assign(self.to_new)}
        elsif {given} then
            {_assign(self.to_old)}
        end if;
    elsif {_changed(new)} then
        if not {_changed(old)} and {self._differs(self.to_new, "new")} then
            {_assign(self.to_old)}
        end if;
    elsif {_changed(old)} then
        {_assign(self.to_new)}
    end if;
    return new;
end
$lab$"""


def _in(row: str) -> Callable[[str], str]:
    return lambda sql: PLACE.sub(rf"{row}.\1", sql)


def _assign(mapping: Mapping[str, str]) -> str:
    return " ".join(f"new.{column} := {_in('new')(sql)};" for column, sql in sorted(mapping.items()))


def _all(columns: list[str], test: str) -> str:
    return "(" + " and ".join(test.format(column) for column in columns) + ")"


def _changed(columns: list[str]) -> str:
    new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("new", "old"))
    return f"(({new}) is distinct from ({old}))"
