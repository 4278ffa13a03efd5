"""PURE: a document read key by key, so that every error names its key in full and none is passed over in silence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


class BadKeyError(ValueError):
    """What is wrong with the key at `at`, a dotted path, and how to mend it where that is not plain."""

    def __init__(self, at: str, what: str, *, fix: str = "") -> None:
        super().__init__(f"{at}: {what}")
        self.at = at
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A mapping, and where it stands."""

    at: str
    values: Mapping[str, Any]
    known: set[str] = field(default_factory=set)

    def section(self, key: str) -> "Section":
        return Section(at=f"{self.at}.{key}", values=self.get(key, mapping, {}))

    def get(self, key: str, read: Callable[[Any], T], default: object) -> T:
        """`default` is read as if it had been written."""
        self.known.add(key)
        value = self.values.get(key)
        try:
            return read(default if value is None else value)
        except (TypeError, ValueError) as error:
            raise BadKeyError(f"{self.at}.{key}", str(error)) from error

    def find(self, key: str, read: Callable[[Any], T]) -> T | None:
        """None where it does not stand."""
        self.known.add(key)
        return None if self.values.get(key) is None else self.get(key, read, None)

    def close(self) -> None:
        """Refuse what was not asked for: a key that is misspelt would be passed over in silence."""
        unknown = [str(key) for key in self.values if key not in self.known]
        if unknown:
            known = ", ".join(sorted(self.known))
            raise BadKeyError(f"{self.at}.{unknown[0]}", f"there is no such key; there are {known}")


def mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a mapping")
    return value


def positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a whole number of 1 or more")
    return value


def natural(value: object) -> int:
    return 0 if value == 0 and not isinstance(value, bool) else positive(value)


def truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def path_of(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"{value!r} is not a path beginning with /")
    return value


def text(value: object) -> str:
    """As Compose reads it: numbers are their text, true and false have to be quoted."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is no text: quote it")
    return str(value)
