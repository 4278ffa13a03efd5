"""The traffic: people who send parcels, look for them, and correct the labels.

Each method is a cohort. It is given a turn by the schedule, makes its request through it and says what a correct
answer is; waiting, failing, counting and the ledger are not its business.
"""

import random
from functools import partial
from typing import Any

from loadtest.cohorts import Turn, cohort
from loadtest.mixes import Truth
from loadtest.open_loop import OpenLoopUser
from loadtest.oracle import Check
from loadtest.outcomes import Flaw
from loadtest.parcels import (
    STATUSES,
    Known,
    Recipient,
    Stored,
    check_page,
    check_parcel,
    check_shape,
    check_slept,
    check_truth,
    some_address,
    some_double_recipient,
    some_recipient,
)
from loadtest.schedule import vary

_STEPS = 10
_PAGE = 20


class ParcelUser(OpenLoopUser):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.known = Known()
        self.next_page: int | None = None

    @cohort(weight=34)
    def read(self, turn: Turn) -> None:
        """On a kept connection."""
        self._read(turn, fresh=False)

    @cohort(weight=5)
    def fresh(self, turn: Turn) -> None:
        """On a connection of its own."""
        self._read(turn, fresh=True)

    @cohort(weight=10)
    def page(self, turn: Turn) -> None:
        """Through the list, a page a turn; then anew from a parcel that is known."""
        after, self.next_page = self.next_page, None
        first = self.known.pick(turn.rng) if after is None else None
        begins_after = after if after is not None else first.id - 1 if first else 0
        check = partial(
            check_page,
            after=begins_after,
            limit=_PAGE,
            first=first,
            more=after is not None,
            writer_of=self.known.writer_of,
        )
        found = turn.get(f"/parcels?after={begins_after}&limit={_PAGE}", check=check)
        if found is not None:
            self.next_page = found.get("next")

    @cohort(weight=10)
    def write(self, turn: Turn) -> None:
        self.store(turn)

    @cohort(weight=10, requests=2)
    def idempotent(self, turn: Turn) -> None:
        """The same write twice, as after an answer that was lost: the second finds what the first has stored."""
        recipient, address = some_recipient(turn.rng), some_address(turn.rng)
        first, stored = _post(turn, recipient, address)
        again = turn.then(after=first) if stored else None
        if stored is not None and again is not None:
            _post(again, recipient, address, same=stored)
            self.known.add(stored)

    @cohort(weight=10)
    def patch(self, turn: Turn) -> None:
        parcel = self.known.pick(turn.rng)
        if parcel is None:
            self.store(turn)
        elif turn.rng.choice((True, False)):
            status = turn.rng.choice(STATUSES)
            check = partial(check_parcel, same=parcel, holds={"status": status})
            _patch(turn, parcel, {"status": status}, check)
        else:
            recipient = some_recipient(turn.rng)
            check = partial(check_parcel, same=parcel, recipient=recipient)
            _patch(turn, parcel, {"recipient_name": recipient.name}, check)

    @cohort(weight=17, requests=5)
    def read_your_writes(self, turn: Turn) -> None:
        """Written, read, changed and read twice, each by any replica, maybe of another version: it must hold.

        Twice, for a value that was seen, and is gone again, is another fault than one that was never seen.
        """
        first, stored, truth = _told_post(turn, {**_names(turn.rng), "address": some_address(turn.rng)})
        if stored is None or not self._read_back(turn.then(after=first), stored, truth):
            return
        change = _change(turn.rng)
        patched = turn.then(after=first)
        if patched is None:
            return
        check = partial(_holds_after, same=stored, truth=truth, given=change)
        done = patched.ask("PATCH", f"/parcels/{stored.id}", body=change, check=check, writer=truth.writer)
        if done.data is None:
            return
        if all(self._read_back(turn.then(after=done.id), stored, truth) for _ in range(2)):
            stored.writer = truth.writer
            self.known.add(stored)  # only now: from here on others may change it

    def _read_back(self, turn: Turn | None, stored: Stored, truth: Truth) -> bool:
        if turn is None:
            return False
        check = partial(check_truth, same=stored, truth=truth)
        return turn.get(f"/parcels/{stored.id}", check=check, writer=truth.writer) is not None

    @cohort(slow=True)
    def slow(self, turn: Turn) -> None:
        turn.get(f"/slow?seconds={vary(turn.slow_seconds, turn.rng)}", check=check_slept)

    @cohort(weight=2, timed=False)
    def stream(self, turn: Turn) -> None:
        turn.stream(events=_steps(turn), interval_ms=round(_interval_s(turn) * 1000))

    @cohort(weight=2, timed=False)
    def websocket(self, turn: Turn) -> None:
        turn.websocket(messages=_steps(turn), pause_s=_interval_s(turn))

    def store(self, turn: Turn) -> None:
        _, stored = _post(turn, some_recipient(turn.rng), some_address(turn.rng))
        if stored is not None:
            self.known.add(stored)

    def _read(self, turn: Turn, *, fresh: bool) -> None:
        parcel = self.known.pick(turn.rng)
        if parcel is None:  # a fresh lab has none yet
            self.store(turn)
        else:
            check = partial(check_parcel, same=parcel, own=False)
            turn.get(f"/parcels/{parcel.id}", check=check, fresh=fresh, writer=parcel.writer)


def _steps(turn: Turn) -> int:
    return round(vary(_STEPS, turn.rng))


def _interval_s(turn: Turn) -> float:
    """Between the steps of a session that goes on about as long as a slow request."""
    return turn.slow_seconds / _STEPS


def _post(turn: Turn, recipient: Recipient, address: str, *, same: Stored | None = None) -> tuple[str, Stored | None]:
    key = same.key if same else _new_key(turn)
    body = {"key": key, "recipient_name": recipient.name, "address": address}
    check = partial(
        check_parcel, same=same, holds={"key": key, "address": address}, recipient=recipient, own=same is None
    )
    writer = same.writer if same else None
    done = turn.ask("POST", "/parcels", body=body, check=check, key=key, writer=writer)
    return done.id, None if done.data is None else Stored(id=done.data["id"], key=key, writer=done.version)


def _told_post(turn: Turn, given: dict[str, str]) -> tuple[str, Stored | None, Truth]:
    """Store it, and know from then on what each version must answer."""
    key, truth = _new_key(turn), Truth()
    body = {"key": key, **given}
    check = partial(_holds_after, same=None, truth=truth, given=body)
    done = turn.ask("POST", "/parcels", body=body, check=check, key=key)
    stored = None if done.data is None else Stored(id=done.data["id"], key=key, writer=done.version)
    return done.id, stored, truth


def _holds_after(
    data: object, version: str, *, same: Stored | None, truth: Truth, given: dict[str, str]
) -> Flaw | None:
    """The answer to a write: what it gave holds from now on, and shows in the answer already."""
    truth.wrote(version, given)
    if not isinstance(data, dict) or type(data.get("id")) is not int:
        return check_shape(data, version)
    return check_truth(data, version, same=same or Stored(id=data["id"], key=given["key"]), truth=truth)


def _names(rng: random.Random) -> dict[str, str]:
    """One in four is given in parts as well, which only a version that knows them can keep."""
    if rng.randrange(4):
        return {"recipient_name": some_recipient(rng).name}
    recipient = some_double_recipient(rng)
    return {"recipient_name": recipient.name, "first_name": recipient.first, "last_name": recipient.last}


def _change(rng: random.Random) -> dict[str, str]:
    recipient = some_recipient(rng)
    return rng.choice(
        ({"recipient_name": recipient.name}, {"address": some_address(rng)}, {"status": rng.choice(STATUSES)})
    )


def _patch(turn: Turn, parcel: Stored, change: dict[str, str], check: Check) -> None:
    done = turn.ask("PATCH", f"/parcels/{parcel.id}", body=change, check=check, writer=parcel.writer)
    if done.data is not None:
        parcel.writer = done.version


def _new_key(turn: Turn) -> str:
    # the run is part of it: the same seed in another run must not find what this one has stored
    return f"{turn.sender.run}-{turn.rng.getrandbits(48):012x}"
