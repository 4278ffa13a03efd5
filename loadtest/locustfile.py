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


class ParcelUser(OpenLoopUser):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.known = Known()

    @cohort(weight=40)
    def read(self, turn: Turn) -> None:
        parcel = self.known.pick(turn.rng)
        if parcel is None:  # a fresh lab has none yet
            self.store(turn)
        else:
            turn.get(f"/parcels/{parcel.id}", check=partial(check_parcel, same=parcel))

    @cohort(weight=10)
    def page(self, turn: Turn) -> None:
        parcel = self.known.pick(turn.rng)
        after, limit = (parcel.id - 1 if parcel else 0), 20
        check = partial(check_page, after=after, limit=limit, first=parcel)
        turn.get(f"/parcels?after={after}&limit={limit}", check=check)

    @cohort(weight=15)
    def write(self, turn: Turn) -> None:
        self.store(turn)

    @cohort(weight=15)
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

    @cohort(weight=20, requests=2)
    def read_your_writes(self, turn: Turn) -> None:
        """Written through one replica and read through another, maybe of another version: it must be the same."""
        recipient, address = some_recipient(turn.rng), some_address(turn.rng)
        stored = _post(turn, recipient, address)
        back = turn.then() if stored else None
        if stored is None or back is None:
            return
        same = partial(check_parcel, same=stored, holds={"address": address}, recipient=recipient)
        back.get(f"/parcels/{stored.id}", check=same)
        self.known.add(stored)  # only now: from here on others may change it

    @cohort(slow=True)
    def slow(self, turn: Turn) -> None:
        turn.get(f"/slow?seconds={vary(turn.slow_seconds, turn.rng)}", check=check_slept)

    def store(self, turn: Turn) -> None:
        stored = _post(turn, some_recipient(turn.rng), some_address(turn.rng))
        if stored is not None:
            self.known.add(stored)


def _post(turn: Turn, recipient: Recipient, address: str) -> Stored | None:
    # the run is part of it: the same seed in another run must not find what this one has stored
    key = f"{turn.sender.run}-{turn.rng.getrandbits(48):012x}"
    body = {"key": key, "recipient_name": recipient.name, "address": address}
    check = partial(check_parcel, holds={"key": key, "address": address}, recipient=recipient)
    data = turn.post("/parcels", body, check=check, key=key)
    return Stored(id=data["id"], key=key) if data is not None else None
