"""What a parcel must look like, by the version that answered, and the parcels this run knows to be stored."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from loadtest.mixes import Fault, Mix, Truth, texts_of
from loadtest.outcomes import Flaw, Kind, contract

_FIRST = ("Ada", "Grace", "Zoë", "Søren", "Ngozi", "Ichirō", "Márta", "José")
_LAST = ("Lovelace", "Hopper", "Müller", "Kierkegaard", "Adichie", "Suzuki", "Szabó", "García")
STATUSES = ("registered", "in_transit", "delivered")
NEW = STATUSES[0]
"""What every version answers to a parcel that was not there: a default that changed under it is seen by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    first: str
    last: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(slots=True, kw_only=True)
class Stored:
    """A parcel whose write was acknowledged. `truth` None: a write of it was sent, and what became of it is not known.

    One process writes to it, and one write at a time. A reading is held against the truth if no write was under way
    while it was: `changes` counts their begins and their ends.
    """

    id: int
    key: str
    truth: Truth | None = field(default=None, compare=False)
    changes: int = field(default=0, compare=False)

    @property
    def writer(self) -> str | None:
        """The version that wrote it last."""
        return self.truth.writer if self.truth else None

    @property
    def busy(self) -> bool:
        return self.changes % 2 == 1

    def begin(self) -> None:
        self.changes += 1

    def end(self, *, acknowledged: bool) -> None:
        self.changes += 1
        if not acknowledged:
            self.truth = None


class Known:
    """The parcels whose write was acknowledged: they must be found until the end of time."""

    def __init__(self) -> None:
        self._stored: list[Stored] = []
        self._by_id: dict[int, Stored] = {}

    def add(self, parcel: Stored) -> None:
        self._stored.append(parcel)
        self._by_id[parcel.id] = parcel

    def writer_of(self, id: int) -> str | None:
        """The version that wrote it last; None: this run did not."""
        return self._by_id[id].writer if id in self._by_id else None

    def pick(self, rng: random.Random) -> Stored | None:
        return rng.choice(self._stored) if self._stored else None


def some_recipient(rng: random.Random) -> Recipient:
    return Recipient(first=rng.choice(_FIRST), last=rng.choice(_LAST))


def some_double_recipient(rng: random.Random) -> Recipient:
    """Of a name that only its own parts say how to split: "Mary Ann" and "Lee"."""
    return Recipient(first=f"{rng.choice(_FIRST)} {rng.choice(_FIRST)}", last=rng.choice(_LAST))


def some_address(rng: random.Random) -> str:
    return f"{rng.randint(1, 999)} Harbour Street"


def check_shape(data: object, version: str) -> Flaw | None:
    """Every version answers with recipient_name; the v2 family adds first_name and last_name."""
    if not isinstance(data, dict):
        return _shape(f"a parcel was expected, not {data!r}")
    if type(data.get("id")) is not int:
        return _shape(f"id is {data.get('id')!r}, not an integer")
    wrong = [name for name in texts_of(version) if not isinstance(data.get(name), str)]
    if not wrong:
        return None
    told = ", ".join(f"{name} is {data.get(name)!r}" for name in wrong)
    empty = all(name in data and data[name] is None for name in wrong)
    mix = Mix(fault=Fault.NULL if empty else Fault.SHAPE, field=wrong[0])
    return contract(Kind.WRONG_SHAPE, f"{version} must answer with text: {told}", mix)


def check_parcel(
    data: object,
    version: str,
    *,
    same: Stored | None = None,
    holds: dict[str, str] | None = None,
    recipient: Recipient | None = None,
    own: bool = True,
) -> Flaw | None:
    """Compare with what is known: the identity, fields that must hold, and the recipient in this version's words.

    own: it is the answer to the write itself; else `same` was written before, and is only looked at.
    """
    writer = version if own or same is None else same.writer
    shape = check_shape(data, version)
    if shape is not None or not isinstance(data, dict):
        return replace(shape, mix=replace(shape.mix, writer=writer)) if shape and shape.mix else shape
    wanted: dict[str, object] = dict(holds or {})
    if same is not None:
        wanted |= {"id": same.id, "key": same.key}
    if recipient is not None:
        wanted |= {"recipient_name": recipient.name}
    if recipient is not None and version.startswith("v2"):
        wanted |= {"first_name": recipient.first, "last_name": recipient.last}
    wrong = [name for name, value in wanted.items() if data[name] != value]
    if not wrong:
        return None
    told = ", ".join(f"{name} is {data[name]!r}, not {wanted[name]!r}" for name in wrong)
    fault = Fault.DUP_MISS if wrong[0] == "id" else Fault.LOST
    return _content(f"{version} answered: {told}", Mix(fault=fault, writer=writer, field=wrong[0]))


def check_truth(data: object, version: str, *, same: Stored, truth: Truth) -> Flaw | None:
    """Compare with all that was ever written to it: that also says whose fault a wrong shape is."""
    shape = check_shape(data, version)
    same_one = isinstance(data, dict) and (data.get("id"), data.get("key")) == (same.id, same.key)
    if not same_one or not isinstance(data, dict):
        return shape or check_parcel(data, version, same=same, own=False)
    found = truth.read(version, data)
    if shape is not None:
        return replace(shape, mix=found[0]) if found else shape
    return _content(found[1], found[0]) if found else None


def check_reading(data: object, version: str, *, same: Stored, since: int) -> Flaw | None:
    """`since`: its `changes` when it was asked for. With a write under way meanwhile only the identity is known."""
    if same.truth is None or same.busy or same.changes != since:
        return check_parcel(data, version, same=same, own=False)
    return check_truth(data, version, same=same, truth=same.truth)


def check_written(
    data: object, version: str, *, truth: Truth, given: Mapping[str, str], same: Stored | None = None
) -> Flaw | None:
    """The answer to a write: what it gave holds from now on, and shows in the answer already."""
    truth.wrote(version, given)
    if not isinstance(data, dict) or type(data.get("id")) is not int:
        return check_shape(data, version)
    return check_truth(data, version, same=same or Stored(id=data["id"], key=given["key"]), truth=truth)


def check_page(
    data: object,
    version: str,
    *,
    after: int,
    limit: int,
    first: Stored | None = None,
    more: bool = False,
    writer_of: Callable[[int], str | None] = lambda _: None,
) -> Flaw | None:
    """A page by rising id; `first` is the acknowledged parcel that it must begin with.

    `more`: the page before said that there is one.
    """
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        return _shape(f"a page of parcels was expected, not {data!r}")
    items = data["items"]
    for item in items:
        if problem := check_shape(item, version):
            return _written_by(problem, item, writer_of)
    ids = [item["id"] for item in items]
    if len(ids) > limit or ids != sorted(set(ids)) or (ids and ids[0] <= after):
        return _content(f"the page after {after} of at most {limit} has the ids {ids}", Mix(fault=Fault.DUP_MISS))
    if data.get("next") not in (None, *ids[-1:]):
        return _content(f"the page ends with {ids[-1:]} and names {data.get('next')!r} as next")
    if more and not ids:
        told = f"the page before named {after} as next, and behind it there is nothing"
        return _content(told, Mix(fault=Fault.DUP_MISS))
    if first is not None and ids[:1] != [first.id]:
        mix = Mix(fault=Fault.DUP_MISS, writer=first.writer)
        return _content(f"acknowledged parcel {first.id} is missing from the page {ids}", mix)
    return None


def check_slept(data: object, _version: str) -> Flaw | None:
    if isinstance(data, dict) and isinstance(data.get("slept"), (int, float)):
        return None
    return _shape(f'{{"slept": seconds}} was expected, not {data!r}')


def _shape(detail: str) -> Flaw:
    return contract(Kind.WRONG_SHAPE, detail)


def _content(detail: str, mix: Mix | None = None) -> Flaw:
    return contract(Kind.WRONG_CONTENT, detail, mix)


def _written_by(flaw: Flaw, item: object, writer_of: Callable[[int], str | None]) -> Flaw:
    id = item.get("id") if isinstance(item, dict) else None
    if flaw.mix is None or not isinstance(id, int):
        return flaw
    return replace(flaw, mix=replace(flaw.mix, writer=writer_of(id)))
