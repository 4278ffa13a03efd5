"""What a parcel must look like, by the version that answered, and the parcels this run knows to be stored."""

import random
from dataclasses import dataclass

from loadtest.outcomes import Flaw, Kind, contract

_FIRST = ("Ada", "Grace", "Zoë", "Søren", "Ngozi", "Ichirō", "Márta", "José")
_LAST = ("Lovelace", "Hopper", "Müller", "Kierkegaard", "Adichie", "Suzuki", "Szabó", "García")
STATUSES = ("registered", "in_transit", "delivered")

_V1_TEXTS = ("key", "recipient_name", "address", "status")
_V2_TEXTS = (*_V1_TEXTS, "first_name", "last_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    first: str
    last: str

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    id: int
    key: str


class Known:
    """The parcels whose write was acknowledged: they must be found until the end of time."""

    def __init__(self) -> None:
        self._stored: list[Stored] = []

    def add(self, parcel: Stored) -> None:
        self._stored.append(parcel)

    def pick(self, rng: random.Random) -> Stored | None:
        return rng.choice(self._stored) if self._stored else None


def some_recipient(rng: random.Random) -> Recipient:
    return Recipient(first=rng.choice(_FIRST), last=rng.choice(_LAST))


def some_address(rng: random.Random) -> str:
    return f"{rng.randint(1, 999)} Harbour Street"


def check_shape(data: object, version: str) -> Flaw | None:
    """Every version answers with recipient_name; the v2 family adds first_name and last_name."""
    if not isinstance(data, dict):
        return _shape(f"a parcel was expected, not {data!r}")
    if type(data.get("id")) is not int:
        return _shape(f"id is {data.get('id')!r}, not an integer")
    texts = _V2_TEXTS if version.startswith("v2") else _V1_TEXTS
    wrong = [f"{name} is {data.get(name)!r}" for name in texts if not isinstance(data.get(name), str)]
    return _shape(f"{version} must answer with text: {', '.join(wrong)}") if wrong else None


def check_parcel(
    data: object,
    version: str,
    *,
    same: Stored | None = None,
    holds: dict[str, str] | None = None,
    recipient: Recipient | None = None,
) -> Flaw | None:
    """Compare with what is known: the identity, fields that must hold, and the recipient in this version's words."""
    shape = check_shape(data, version)
    if shape is not None or not isinstance(data, dict):
        return shape
    wanted: dict[str, object] = dict(holds or {})
    if same is not None:
        wanted |= {"id": same.id, "key": same.key}
    if recipient is not None:
        wanted |= {"recipient_name": recipient.name}
    if recipient is not None and version.startswith("v2"):
        wanted |= {"first_name": recipient.first, "last_name": recipient.last}
    wrong = [f"{name} is {data[name]!r}, not {value!r}" for name, value in wanted.items() if data[name] != value]
    return _content(f"{version} answered: {', '.join(wrong)}") if wrong else None


def check_page(
    data: object, version: str, *, after: int, limit: int, first: Stored | None = None, more: bool = False
) -> Flaw | None:
    """A page by rising id; `first` is the acknowledged parcel that it must begin with.

    `more`: the page before said that there is one.
    """
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        return _shape(f"a page of parcels was expected, not {data!r}")
    items = data["items"]
    problem = next((p for p in (check_shape(item, version) for item in items) if p), None)
    if problem:
        return problem
    ids = [item["id"] for item in items]
    if len(ids) > limit or ids != sorted(set(ids)) or (ids and ids[0] <= after):
        return _content(f"the page after {after} of at most {limit} has the ids {ids}")
    if data.get("next") not in (None, *ids[-1:]):
        return _content(f"the page ends with {ids[-1:]} and names {data.get('next')!r} as next")
    if more and not ids:
        return _content(f"the page before named {after} as next, and behind it there is nothing")
    if first is not None and ids[:1] != [first.id]:
        return _content(f"acknowledged parcel {first.id} is missing from the page {ids}")
    return None


def check_slept(data: object, _version: str) -> Flaw | None:
    if isinstance(data, dict) and isinstance(data.get("slept"), (int, float)):
        return None
    return _shape(f'{{"slept": seconds}} was expected, not {data!r}')


def _shape(detail: str) -> Flaw:
    return contract(Kind.WRONG_SHAPE, detail)


def _content(detail: str) -> Flaw:
    return contract(Kind.WRONG_CONTENT, detail)
