"""PURE: what a server's log (csvlog) says was run: an app's statements, and those that failed, with their why."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_DATABASE, _FROM, _SEVERITY, _SQLSTATE, _MESSAGE, _QUERY = 2, 4, 11, 12, 13, 19
_FIELDS = 22
_RUN = re.compile(r"(?:statement|execute [^:]*): (?P<sql>.*)", re.DOTALL)
_PREPARABLE = re.compile(r"\s*(?:--[^\n]*\n\s*)*(select|insert|update|delete|merge|with|values|table)\b", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b(?!\s*\))|(?<=[\s(,=<>])\d+(?:\.\d+)?\b")
_PLACE = re.compile(r"\$\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One line of the log. `client`: the address that the connection came from, without its port."""

    database: str
    client: str
    severity: str
    sqlstate: str
    message: str
    query: str

    @property
    def failed(self) -> bool:
        return self.severity in {"ERROR", "FATAL", "PANIC"}

    @property
    def statement(self) -> str | None:
        """The SQL that was run, if it says so."""
        found = _RUN.match(self.message) if self.severity == "LOG" else None
        return found["sql"].strip() if found else None


def read_log(text: str) -> Iterator[Logged]:
    """The whole lines of a piece of the log; what is cut at its end is left out by the caller."""
    csv.field_size_limit(10_000_000)
    for row in csv.reader(io.StringIO(text)):
        if len(row) > _FIELDS:
            yield Logged(
                database=row[_DATABASE],
                client=row[_FROM].rpartition(":")[0],
                severity=row[_SEVERITY],
                sqlstate=row[_SQLSTATE],
                message=row[_MESSAGE],
                query=row[_QUERY].strip(),
            )


def preparable(logged: Iterable[Logged]) -> tuple[str, ...]:
    """Each statement once, of those that PREPARE takes. Those that differ in what is written out only are one."""
    found: dict[str, str] = {}
    for entry in logged:
        sql = entry.statement
        if sql and _PREPARABLE.match(sql):
            found.setdefault(_key(sql), sql)
    return tuple(found.values())


def _key(sql: str) -> str:
    text = " ".join(sql.split())
    return text if _PLACE.search(text) else _LITERAL.sub("?", text)
