"""PURE: what a step's SQL does to tables, columns, constraints and values, in the catalogue's words.

It is read, not understood: enough of PostgreSQL's grammar to say of which kind a statement is and which names it is
about. What is not recognised is kept as `other`, with its first words.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`kind`: a word of the catalogue's `steps`; `names`: the tables, columns, types and values that it is about."""

    kind: str
    names: frozenset[str]
    text: str
    table: str = ""
    column: str = ""
    required: bool = False


@dataclass(slots=True)
class _Words:
    """A statement as its words and marks, small letters but for what is quoted."""

    words: list[str]
    at: int = 0
    text: str = field(default="")

    def peek(self, ahead: int = 0) -> str:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else ""

    def take(self, *options: str) -> bool:
        """Skip one of these phrases, if it stands here."""
        for phrase in options:
            parts = phrase.split()
            if self.words[self.at : self.at + len(parts)] == parts:
                self.at += len(parts)
                return True
        return False

    def name(self) -> str:
        """The last part of a name that may have a schema."""
        found = self.peek()
        self.at += 1
        while self.peek() == ".":
            found = self.peek(1)
            self.at += 2
        return found.strip('"')

    def rest(self) -> list[str]:
        return self.words[self.at :]


_TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | (?P<dollar>\$\w*\$).*?(?P=dollar) | [eE]?'(?:[^']|'')*' | "(?:[^"]|"")*"
    | \w+ | ::|<=|>=|<>|!= | \S""",
    re.VERBOSE | re.DOTALL,
)
_VOLATILE = frozenset(
    {"gen_random_uuid", "random", "clock_timestamp", "nextval", "uuid_generate_v4", "timeofday", "generated"}
)
_SERIAL = frozenset({"serial", "bigserial", "smallserial"})
_WIDER = {
    "smallint": ("int", "integer", "bigint"),
    "int": ("bigint",),
    "integer": ("bigint",),
    "varchar": ("text",),
    "character": ("text",),
}
_WIDE = frozenset({"bigint", "text"})
_FILLS = frozenset({"update-all", "update-some"})
_NOT_NAMES = frozenset(
    {
        "set",
        "from",
        "where",
        "coalesce",
        "null",
        "not",
        "and",
        "or",
        "is",
        "as",
        "case",
        "when",
        "then",
        "else",
        "end",
        "true",
        "false",
    }
)


def operations(statements: Iterable[str]) -> tuple[Operation, ...]:
    """Of the statements of one step, in order: those that are one change together are told as one."""
    found = [operation for text in statements for operation in _read(text)]
    return tuple(_combined(found))


def names_in(statement: str) -> frozenset[str]:
    """Every word of a statement that could be a name."""
    return frozenset(word.strip('"') for word in _words(statement).words if re.match(r'[\w"]', word))


def _words(text: str) -> _Words:
    words = [token[0] for token in _TOKEN.finditer(text) if not token[0].startswith(("--", "/*"))]
    return _Words([word if word[0] in "\"'$" else word.lower() for word in words], text=" ".join(text.split()))


def _read(text: str) -> list[Operation]:
    words = _words(text)
    if words.take("alter table"):
        return _alter_table(words)
    for reader in (_create, _drop, _alter_type, _data, _session):
        if found := reader(words):
            return [found]
        words.at = 0
    return [_operation("other", words, *(word.strip('"') for word in words.words if re.match(r'[\w"]', word)))]


def _operation(
    kind: str, words: _Words, *names: str, table: str = "", column: str = "", required: bool = False
) -> Operation:
    return Operation(
        required=required,
        kind=kind,
        names=frozenset(name for name in (*names, table, column) if name),
        text=words.text,
        table=table,
        column=column,
    )


def _alter_table(words: _Words) -> list[Operation]:
    words.take("if exists")
    words.take("only")
    table = words.name()
    words.take("*")
    return [_action(_Words(action, text=words.text), table) for action in _by_commas(words.rest())]


def _by_commas(words: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word in "([") - (word in ")]")
        if word == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    return [part for part in parts if part]


def _action(words: _Words, table: str) -> Operation:
    if words.peek() == "rename":
        return _renamed(words, table)
    if words.peek() == "add":
        return _adding(words, table)
    if words.take("drop column if exists", "drop column"):
        return _operation("drop-column", words, table=table, column=words.name())
    if words.take("drop constraint if exists", "drop constraint"):
        return _operation("drop-constraint", words, words.name(), table=table)
    if words.take("alter column", "alter"):
        return _altered(words, table, words.name())
    return _operation("other", words, *words.rest()[:3], table=table)


def _renamed(words: _Words, table: str) -> Operation:
    if words.take("rename to"):
        return _operation("rename-table", words, words.name(), table=table)
    if words.take("rename constraint"):
        return _operation("other", words, table=table)
    words.take("rename column", "rename")
    old = words.name()
    words.take("to")
    return _operation("rename-column", words, words.name(), table=table, column=old)


def _adding(words: _Words, table: str) -> Operation:
    if words.take("add constraint"):
        return _constraint(words, table, words.name())
    if words.peek(1) in {"unique", "foreign", "check", "primary", "exclude"}:
        words.at += 1
        return _constraint(words, table, "")
    words.take("add column if not exists", "add column", "add")
    return _added(words, table, words.name())


def _constraint(words: _Words, table: str, name: str) -> Operation:
    rest = words.rest()
    columns = [word.strip('"') for word in rest if re.match(r'[a-z_"]', word)]
    attaches = "using" in rest and "index" in rest
    kinds = {"unique": "add-unique", "primary": "add-unique", "foreign": "add-foreign-key", "check": "add-check"}
    kind = "attach-index" if attaches else kinds.get(words.peek(), "other")
    return _operation(kind, words, name, *columns, table=table)


def _added(words: _Words, table: str, column: str) -> Operation:
    rest = words.rest()
    required = _pair(rest, "not", "null")
    if _VOLATILE & set(rest) or _SERIAL & set(rest):
        kind = "add-computed-column"
    elif required and "default" not in rest:
        kind = "add-required-column"
    else:
        kind = "add-column"
    return _operation(kind, words, table=table, column=column, required=required)


def _altered(words: _Words, table: str, column: str) -> Operation:
    kind = "other"
    if words.take("set not null"):
        kind = "set-not-null"
    elif words.take("drop not null"):
        kind = "drop-not-null"
    elif words.take("set default"):
        kind = "set-default"
    elif words.take("drop default"):
        kind = "drop-default"
    elif words.take("set data type", "type"):
        rest = words.rest()
        kind = "widen-type" if rest[0] in _WIDE and "using" not in rest else "change-type"
    return _operation(kind, words, table=table, column=column)


def _create(words: _Words) -> Operation | None:
    if not words.take("create or replace", "create"):
        return None
    unique = words.take("unique")
    if words.take("index concurrently"):
        return _operation("create-index-concurrently", words, *_indexed(words))
    if words.take("index"):
        names = _indexed(words)
        return _operation("add-unique" if unique else "create-index", words, *names)
    if words.take("table if not exists", "table"):
        table = words.name()
        columns = [part[0].strip('"') for part in _by_commas(_inside(words.rest())) if part]
        return _operation("create-table", words, *columns, table=table)
    if words.take("trigger", "constraint trigger"):
        rest = words.rest()
        tables = [rest[at + 1].strip('"') for at, word in enumerate(rest[:-1]) if word == "on"]
        return _operation("create-trigger", words, rest[0].strip('"'), table=tables[0] if tables else "")
    if words.take("function", "procedure", "view", "type", "policy", "domain"):
        return _operation(f"create-{words.words[words.at - 1]}", words, words.name())
    return None


def _indexed(words: _Words) -> list[str]:
    return [word.strip('"') for word in words.rest() if re.match(r'[a-z_"]', word) and word not in {"on", "using"}]


def _inside(words: list[str]) -> list[str]:
    """What stands in the first brackets."""
    if "(" not in words:
        return []
    start, depth = words.index("("), 0
    for at in range(start, len(words)):
        depth += (words[at] == "(") - (words[at] == ")")
        if depth == 0:
            return words[start + 1 : at]
    return words[start + 1 :]


def _drop(words: _Words) -> Operation | None:
    if not words.take("drop"):
        return None
    if words.take("index concurrently", "index"):
        words.take("if exists")
        return _operation("drop-index", words, words.name())
    kind = words.name()
    words.take("if exists")
    name = words.name()
    return _operation(f"drop-{kind}", words, name, table=name if kind == "table" else "")


def _alter_type(words: _Words) -> Operation | None:
    if not words.take("alter type"):
        return None
    name = words.name()
    values = [word.strip("'") for word in words.rest() if word.startswith("'")]
    if words.take("add value"):
        return _operation("add-enum-value", words, name, *values)
    if words.take("rename value"):
        return _operation("rename-enum-value", words, name, *values)
    if words.take("rename to"):
        return _operation("drop-type", words, name, words.name())
    return None


def _data(words: _Words) -> Operation | None:
    """Rows written at once, without a bound: a `where` bounds them only if it compares with a parameter or a number."""
    if words.take("update"):
        words.take("only")
        table = words.name()
        bounded = "limit" in words.words or "%" in words.words
        return _operation("update-some" if bounded else "update-all", words, *_sources(words), table=table)
    if words.take("delete from"):
        table = words.name()
        return _operation("delete-all" if "where" not in words.words else "update-some", words, table=table)
    if words.take("truncate table", "truncate"):
        return _operation("delete-all", words, table=words.name())
    if words.take("lock table", "lock"):
        return _operation("lock-table", words, table=words.name())
    if words.take("insert into"):
        table = words.name()
        copies = [word.strip('"') for word in words.rest() if re.match(r'[a-z_"]', word)]
        return _operation("copy-rows" if "select" in words.words else "update-some", words, *copies, table=table)
    return None


def _sources(words: _Words) -> list[str]:
    """The columns that an update names; a word before a bracket is a function's."""
    pairs = itertools.pairwise([*words.rest(), ""])
    return [w.strip('"') for w, after in pairs if re.match(r'[a-z_"]', w) and after != "(" and w not in _NOT_NAMES]


def _session(words: _Words) -> Operation | None:
    if words.take("set local lock_timeout", "set lock_timeout", "set session lock_timeout"):
        value = [word.strip("'") for word in words.rest() if word not in {"=", "to"}]
        return _operation("wait-without-limit" if value[:1] in (["0"], ["default"]) else "other", words)
    return None


def _combined(found: list[Operation]) -> list[Operation]:
    """Adds, drops and copies on one table, told as the change that they make together."""
    out = list(found)
    for table in dict.fromkeys(operation.table for operation in found if operation.table):
        out = _of_table(out, table)
    return out


def _of_table(found: list[Operation], table: str) -> list[Operation]:
    found = _required(found, table)
    here = [operation for operation in found if operation.table == table]
    added = [o for o in here if o.kind.startswith("add-") and o.kind.endswith("column")]
    dropped = [o for o in here if o.kind == "drop-column"]
    synced = any(o.kind == "create-trigger" for o in here)
    new = {o.column for o in added}
    filled = {n for o in here if o.kind in _FILLS and o.names - new - {table} for n in o.names}
    targets = [o for o in added if o.column in filled]
    moved = [
        o for o in found if o.kind == "create-table" and o.table != table and {d.column for d in dropped} & o.names
    ]
    if moved:
        return _replaced(found, "move-column", [*dropped, *moved])
    if dropped and len(added) > len(dropped):
        return _replaced(found, "split-column", [*added, *dropped])
    if len(dropped) > 1 and added:
        return _replaced(found, "merge-columns", [*added, *dropped])
    if dropped and added:
        retyped = any("::" in o.text or re.search(r"\bcase\b", o.text, re.IGNORECASE) for o in here)
        return _replaced(found, "change-type" if retyped else "rename-column", [*added, *dropped])
    if synced or not targets:
        return found
    # told beside its parts: each of them breaks something of its own
    return [_whole("split-column" if len(targets) > 1 else "copy-without-sync", targets), *found]


def _required(found: list[Operation], table: str) -> list[Operation]:
    """A column that is added and has to be given a value from then on, by however many statements."""
    for added in [o for o in found if o.kind == "add-column" and o.table == table]:
        needs = {"drop-default"} if added.required else {"set-not-null"}
        parts = [o for o in found if o.kind in needs and (o.table, o.column) == (table, added.column)]
        if parts:
            found = _replaced(found, "add-required-column", [added, *parts])
    return found


def _replaced(found: list[Operation], kind: str, parts: list[Operation]) -> list[Operation]:
    """One operation in the place of its parts."""
    return [_whole(kind, parts), *(operation for operation in found if operation not in parts)]


def _whole(kind: str, parts: list[Operation]) -> Operation:
    """With all the names of its parts."""
    return Operation(
        kind=kind,
        names=frozenset(name for part in parts for name in part.names),
        text="; ".join(dict.fromkeys(part.text for part in parts)),
        table=parts[0].table,
        column=parts[0].column,
    )


def _pair(words: list[str], first: str, second: str) -> bool:
    return any(pair == (first, second) for pair in itertools.pairwise(words))
