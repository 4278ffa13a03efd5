"""What each version says about itself; everything else in this package is the same for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from re import Pattern
from typing import Any

Fields = Mapping[str, str]
Columns = Mapping[str, str | None]
Row = Mapping[str, Any]


class Cursor(StrEnum):
    """How a page of the list names the next one, and what it takes for such a name."""

    ID = "id"
    OPAQUE = "opaque"
    BOTH = "both"
    """Takes either, and gives out the id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """How the version talks to the database. A statement that was prepared can outlive a schema change, and fail."""

    prepare: bool = False
    autocommit: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The statements of one version, and its mapping between the API's fields and the table's columns."""

    name: str
    columns: tuple[str, ...]
    """Every column that the statements name."""
    recipient_fields: tuple[str, ...]
    """The fields of a request's body that say who receives the parcel."""
    recipient_columns: Callable[[Fields], Columns]
    """Fields given -> columns to write; `None` for a column about which nothing was said."""
    parcel: Callable[[Row], Row]
    """A row -> the parcel as the API shows it."""
    insert: str
    by_key: str
    by_id: str
    page: str
    update: str
    answers: Mapping[str, str] = field(default_factory=dict)
    """The fields of a parcel, each with its JSON type, where `parcel` does not tell."""
    takes: Mapping[str, Pattern[str]] = field(default_factory=dict)
    """Fields of a request that must match; else it is refused."""
    knows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Columns of which the code understands these values only: another one is more than it can handle."""
    cursor: Cursor = Cursor.ID
    driver: Driver = Driver()
