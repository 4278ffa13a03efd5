"""What is asked of every version: a declarative file beside the plan, outside the images. Read and checked here."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.sections import BadKeyError, Section, mapping, positive, text, truth

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"})
_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<path>/\S*)")
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """`path` may hold `{id}` and `{n}`; `n` is another number each time."""

    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a resource. `known` and `written`: by which versions; None is all.

    `made_of`: a template of other fields whose text it always equals. `values`: what is written into it, in turn.
    """

    name: str
    values: tuple[Any, ...]
    known: frozenset[str] | None = None
    written: frozenset[str] | None = None
    create: bool = True
    update: bool = True
    nullable: bool = False
    made_of: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(_PLACE.findall(self.made_of))

    def known_by(self, version: str) -> bool:
        return self.known is None or version in self.known

    def written_by(self, version: str) -> bool:
        return bool(self.values) and (self.known_by(version) if self.written is None else version in self.written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is created, read, updated, listed, deleted; None: it cannot be. The rest says where in an answer it is."""

    name: str
    create: Request
    read: Request | None
    update: Request | None
    delete: Request | None
    listing: Request | None
    id: str
    item: str
    items: str
    next: str
    limit: str
    after: str
    page: int
    fields: tuple[Field, ...]

    def known(self, version: str) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.known_by(version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One request and the answer that is right. `expect`: path in the answer -> value. `versions` None: all."""

    name: str
    request: Request
    status: frozenset[int]
    body: Mapping[str, Any] | None = None
    expect: tuple[tuple[str, Any], ...] = ()
    versions: frozenset[str] | None = None

    def of(self, version: str) -> bool:
        return self.versions is None or version in self.versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """`openapi`: where a version serves its document; "" is nowhere. `clients`: whose clients are out there."""

    file: Path
    openapi: str = ""
    clients: frozenset[str] | None = None
    resources: tuple[Resource, ...] = ()
    checks: tuple[Check, ...] = ()


def read_checks(path: Path) -> Checks:
    """LabError `compat-checks` says what is wrong with the file, and at which key."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return _checks(path, Section(at="compat", values=values))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, BadKeyError) as error:
        raise LabError(
            id="compat-checks",
            what=f"the checks cannot be used: {error}",
            where=str(path),
            fix="mend the file; docs/reference/compat.md has every key",
        ) from error


def _checks(path: Path, root: Section) -> Checks:
    found = Checks(
        file=path,
        openapi=root.get("openapi", str, ""),
        clients=root.find("clients", _names),
        resources=tuple(_resource(section) for section in _sections(root, "resource")),
        checks=tuple(_check(section) for section in _sections(root, "check")),
    )
    root.close()
    if not found.resources and not found.checks:
        raise BadKeyError("compat", "there is no [[resource]] and no [[check]]: nothing would be asked")
    return found


def _sections(root: Section, key: str) -> list[Section]:
    rows = root.get(key, _rows, [])
    return [Section(at=f"{root.at}.{key}[{n}]", values=row) for n, row in enumerate(rows)]


def _rows(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise TypeError("has to be written as [[..]] tables")
    return value


def _resource(section: Section) -> Resource:
    page = section.section("page")
    found = Resource(
        name=section.get("name", _name, None),
        create=section.get("create", _request, None),
        read=section.find("read", _request),
        update=section.find("update", _request),
        delete=section.find("delete", _request),
        listing=section.find("list", _request),
        id=section.get("id", text, "id"),
        item=section.get("item", str, ""),
        items=section.get("items", str, ""),
        next=page.get("next", str, ""),
        limit=page.get("limit", str, ""),
        after=page.get("after", str, ""),
        page=page.get("size", positive, 3),
        fields=_fields(section.section("fields")),
    )
    page.close()
    section.close()
    return found


def _fields(section: Section) -> tuple[Field, ...]:
    fields = tuple(_field(name, section.section(name)) for name in section.values)
    names = {field.name for field in fields}
    for field in fields:
        if strange := sorted(set(field.parts) - names):
            raise BadKeyError(f"{section.at}.{field.name}.made_of", f"there is no field {strange[0]!r}")
    if not fields:
        raise BadKeyError(section.at, "a resource has at least one field")
    return fields


def _field(name: str, section: Section) -> Field:
    found = Field(
        name=name,
        values=tuple(section.get("values", _list, [])),
        known=section.find("versions", _names),
        written=section.find("written", _names),
        create=section.get("create", truth, default=True),
        update=section.get("update", truth, default=True),
        nullable=section.get("nullable", truth, default=False),
        made_of=section.get("made_of", str, ""),
    )
    section.close()
    return found


def _check(section: Section) -> Check:
    expect = section.get("expect", mapping, {})
    found = Check(
        name=section.get("name", _name, None),
        request=section.get("request", _request, None),
        status=frozenset(section.get("status", _statuses, 200)),
        body=section.find("body", mapping),
        expect=tuple(expect.items()),
        versions=section.find("versions", _names),
    )
    section.close()
    return found


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError("is missing: a text")
    return value


def _request(value: object) -> Request:
    found = _REQUEST.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["method"] not in METHODS:
        raise ValueError(f"{value!r} is no request such as 'GET /things/{{id}}'")
    return Request(method=found["method"], path=found["path"])


def _statuses(value: object) -> list[int]:
    rows: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(row, int) and 100 <= row <= 599 for row in rows):  # noqa: PLR2004  HTTP's own
        raise ValueError(f"{value!r} is no HTTP status, nor a list of such")
    return rows


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{value!r} is no list of versions")
    return frozenset(value)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value
