"""What two versions on one database do to each other's data: a truth about one parcel, and what a reading does to it.

Nobody but its own turn writes to such a parcel. So what each version must answer is known to the letter, and an answer
that differs has a name, and a pair: the version that wrote, and the one that answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """ERROR: an error of the database, or an answer that refuses. NULL: nothing where something was written.

    STALE: a value that was overwritten, read by a version that has not seen the new one. LOST: a value that was there,
    and is another now. STRIPPED: a field that the last writer does not know went with its write. DUP_MISS: a parcel
    that is twice in a list, or not in it. SHAPE: a type or a field that this version's answers do not have.
    """

    ERROR = "error"
    NULL = "null"
    STALE = "stale"
    LOST = "lost"
    STRIPPED = "stripped"
    DUP_MISS = "dup-miss"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """`writer`: the version whose write was read wrong; None: it is not known, or nothing was written before."""

    fault: Fault
    writer: str | None = None
    field: str | None = None


_TELLING = (Fault.SHAPE, Fault.STRIPPED, Fault.NULL, Fault.STALE, Fault.LOST)
"""Of several fields that are wrong in one answer, the one that says most of the cause: the others follow from it."""
_V1 = ("key", "recipient_name", "address", "status")
_V2 = (*_V1, "first_name", "last_name")
_NAMES = frozenset({"recipient_name", "first_name", "last_name"})


def texts_of(version: str) -> tuple[str, ...]:
    """The text fields of a parcel, as that version answers it."""
    return _V2 if version.startswith("v2") else _V1


@dataclass(slots=True, kw_only=True)
class _Value:
    now: str
    writer: str
    before: set[str] = field(default_factory=set)
    seen_by: set[str] = field(default_factory=set)


class Truth:
    """One parcel, as the writes that were acknowledged have left it."""

    def __init__(self) -> None:
        self._values: dict[str, _Value] = {}
        self._last = ""
        self._touched: frozenset[str] = frozenset()

    @property
    def writer(self) -> str | None:
        """The version that wrote last."""
        return self._last or None

    def wrote(self, version: str, given: Mapping[str, str]) -> None:
        """A version acknowledged these fields of a request's body; it may have had no use for some of them."""
        means = _meaning(version, given)
        self._last, self._touched = version, frozenset(means)
        for name, text in means.items():
            value = self._values.get(name)
            if value is None:
                self._values[name] = _Value(now=text, writer=version)
                continue
            if text != value.now:
                value.before.add(value.now)
                value.seen_by.clear()
            value.now, value.writer = text, version

    def read(self, version: str, data: Mapping[str, object]) -> tuple[Mix, str] | None:
        """What is wrong with that version's answer, and the words for it."""
        wrong: list[tuple[Mix, str]] = []
        for name in texts_of(version):
            value = self._values.get(name)
            if value is None:
                continue
            if data.get(name) == value.now:
                value.seen_by.add(version)
                continue
            fault, writer = self._fault(name, value, data.get(name), version, present=name in data)
            told = f"{name} is {data.get(name)!r}, not {value.now!r}"
            wrong.append((Mix(fault=fault, writer=writer, field=name), told))
        if not wrong:
            return None
        first = min((mix for mix, _ in wrong), key=lambda mix: _TELLING.index(mix.fault))
        return first, f"{version} answered: {', '.join(told for _, told in wrong)}"

    def _fault(self, name: str, value: _Value, got: object, version: str, *, present: bool) -> tuple[Fault, str]:
        if not present or not isinstance(got, (str, type(None))):
            return Fault.SHAPE, value.writer
        stripped = name not in texts_of(self._last) and name not in self._touched
        if stripped and value.seen_by:
            return Fault.STRIPPED, self._last
        if not got:
            return Fault.NULL, value.writer
        if version not in value.seen_by and got in value.before:
            return Fault.STALE, value.writer
        return (Fault.STRIPPED, self._last) if stripped else (Fault.LOST, value.writer)


def _meaning(version: str, given: Mapping[str, str]) -> dict[str, str]:
    """The fields that a body sets, by that version's own rule: V2 takes the two names where it is given them."""
    means = {name: text for name, text in given.items() if name not in _NAMES}
    first, last = given.get("first_name"), given.get("last_name")
    if version.startswith("v2") and first is not None and last is not None:
        return means | {"first_name": first, "last_name": last, "recipient_name": f"{first} {last}".strip()}
    if "recipient_name" in given:
        name = given["recipient_name"]
        first, _, last = name.partition(" ")
        return means | {"recipient_name": name, "first_name": first, "last_name": last}
    return means
