"""The traffic: people who send parcels, look for them, and correct the labels.

Each method is a cohort. It is given a turn by the schedule, makes its request through it and says what a correct
answer is; waiting, failing, counting and the ledger are not its business.
"""

from functools import partial
from typing import Any

from loadtest.cohorts import Turn, cohort
from loadtest.open_loop import OpenLoopUser
from loadtest.parcels import (
    STATUSES,
    Known,
    Recipient,
    Stored,
    check_page,
    check_parcel,
    check_slept,
    some_address,
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
        check = partial(check_page, after=begins_after, limit=_PAGE, first=first, more=after is not None)
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
            turn.patch(f"/parcels/{parcel.id}", {"status": status}, check=check)
        else:
            recipient = some_recipient(turn.rng)
            check = partial(check_parcel, same=parcel, recipient=recipient)
            turn.patch(f"/parcels/{parcel.id}", {"recipient_name": recipient.name}, check=check)

    @cohort(weight=17, requests=2)
    def read_your_writes(self, turn: Turn) -> None:
        """Written through one replica and read through another, maybe of another version: it must be the same."""
        recipient, address = some_recipient(turn.rng), some_address(turn.rng)
        first, stored = _post(turn, recipient, address)
        back = turn.then(after=first) if stored else None
        if stored is None or back is None:
            return
        same = partial(check_parcel, same=stored, holds={"address": address}, recipient=recipient)
        back.get(f"/parcels/{stored.id}", check=same)
        self.known.add(stored)  # only now: from here on others may change it

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
            turn.get(f"/parcels/{parcel.id}", check=partial(check_parcel, same=parcel), fresh=fresh)


def _steps(turn: Turn) -> int:
    return round(vary(_STEPS, turn.rng))


def _interval_s(turn: Turn) -> float:
    """Between the steps of a session that goes on about as long as a slow request."""
    return turn.slow_seconds / _STEPS


def _post(turn: Turn, recipient: Recipient, address: str, *, same: Stored | None = None) -> tuple[str, Stored | None]:
    # the run is part of it: the same seed in another run must not find what this one has stored
    key = same.key if same else f"{turn.sender.run}-{turn.rng.getrandbits(48):012x}"
    body = {"key": key, "recipient_name": recipient.name, "address": address}
    check = partial(check_parcel, same=same, holds={"key": key, "address": address}, recipient=recipient)
    request_id, data = turn.ask("POST", "/parcels", body=body, check=check, key=key)
    return request_id, Stored(id=data["id"], key=key) if data is not None else None
