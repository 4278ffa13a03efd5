"""What V1 and V2 each say about themselves; everything else in this package is the same for both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Fields = Mapping[str, str]
Columns = Mapping[str, str | None]
Row = Mapping[str, Any]


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
