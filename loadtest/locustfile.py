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
from loadtest.pages import check_api, check_html, check_script, needs_of
from loadtest.parcels import (
    NEW,
    STATUSES,
    Known,
    Stored,
    check_page,
    check_reading,
    check_slept,
    check_written,
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
        self._read(turn)

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
        body = _new_parcel(turn)
        first, stored = _post(turn, body)
        again = turn.then(after=first) if stored else None
        if stored is not None and again is not None:
            check = partial(check_reading, same=stored, since=stored.changes)
            again.ask("POST", "/parcels", body=body, check=check, key=stored.key, writer=stored.writer)
            self.known.add(stored)

    @cohort(weight=10)
    def patch(self, turn: Turn) -> None:
        parcel = self.known.pick(turn.rng)
        if parcel is None:
            self.store(turn)
        elif parcel.busy or parcel.truth is None:
            self._read(turn, parcel)
        else:
            _patch(turn, parcel, _change(turn.rng))

    @cohort(weight=17, requests=5)
    def read_your_writes(self, turn: Turn) -> None:
        """Written, read, changed and read twice, each by any replica, maybe of another version: it must hold.

        Twice, for a value that was seen, and is gone again, is another fault than one that was never seen.
        """
        first, stored = _post(turn, _new_parcel(turn))
        if stored is None or not self._read_back(turn.then(after=first), stored):
            return
        changing = turn.then(after=first)
        changed = _patch(changing, stored, _change(turn.rng)) if changing else None
        if changed and all(self._read_back(turn.then(after=changed), stored) for _ in range(2)):
            self.known.add(stored)  # only now: from here on others may change it

    def _read_back(self, turn: Turn | None, stored: Stored) -> bool:
        return turn is not None and self._read(turn, stored)

    @cohort(weight=6, requests=3)
    def browser(self, turn: Turn) -> None:
        """A page, the script that it names, and what that script asks for: each from whichever replica answers."""
        page = turn.fetch("/", check=check_html)
        needs = needs_of(page.body, page.version) if page.body and page.version else None
        scripted = turn.then(after=page.id) if needs else None
        if needs is None or scripted is None:
            return
        script = scripted.fetch(needs.script, check=partial(check_script, needs=needs), writer=needs.version)
        asking = turn.then(after=script.id) if script.body else None
        if asking is not None:
            check = partial(check_api, needs=needs, limit=_PAGE)
            asking.get(f"/parcels?after=0&limit={_PAGE}", check=check, writer=needs.version)

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
        _, stored = _post(turn, _new_parcel(turn))
        if stored is not None:
            self.known.add(stored)

    def _read(self, turn: Turn, parcel: Stored | None = None, *, fresh: bool = False) -> bool:
        """Whether it was right. Of any parcel that is known, unless one is given."""
        parcel = parcel or self.known.pick(turn.rng)
        if parcel is None:  # a fresh lab has none yet
            self.store(turn)
            return True
        check = partial(check_reading, same=parcel, since=parcel.changes)
        return turn.get(f"/parcels/{parcel.id}", check=check, fresh=fresh, writer=parcel.writer) is not None


def _steps(turn: Turn) -> int:
    return round(vary(_STEPS, turn.rng))


def _interval_s(turn: Turn) -> float:
    """Between the steps of a session that goes on about as long as a slow request."""
    return turn.slow_seconds / _STEPS


def _new_parcel(turn: Turn) -> dict[str, str]:
    # the run is part of it: the same seed in another run must not find what this one has stored
    key = f"{turn.sender.run}-{turn.rng.getrandbits(48):012x}"
    return {"key": key, **_names(turn.rng), "address": some_address(turn.rng)}


def _names(rng: random.Random) -> dict[str, str]:
    """One in four is given in parts as well, which only a version that knows them can keep."""
    if rng.randrange(4):
        return {"recipient_name": some_recipient(rng).name}
    recipient = some_double_recipient(rng)
    return {"recipient_name": recipient.name, "first_name": recipient.first, "last_name": recipient.last}


def _change(rng: random.Random) -> dict[str, str]:
    if rng.randrange(2):
        return {"recipient_name": some_recipient(rng).name}
    return rng.choice(({"address": some_address(rng)}, {"status": rng.choice(STATUSES)}))


def _post(turn: Turn, body: dict[str, str]) -> tuple[str, Stored | None]:
    """Store it, and know from then on what each version must answer."""
    truth = Truth()
    check = partial(check_written, truth=truth, given={**body, "status": NEW})
    done = turn.ask("POST", "/parcels", body=body, check=check, key=body["key"])
    return done.id, None if done.data is None else Stored(id=done.data["id"], key=body["key"], truth=truth)


def _patch(turn: Turn, parcel: Stored, change: dict[str, str]) -> str | None:
    """Return the request's id if it was right. With the parcel's truth known, and nothing else under way."""
    truth = parcel.truth
    if truth is None:
        return None
    parcel.begin()
    right = False
    try:
        check = partial(check_written, same=parcel, truth=truth, given=change)
        done = turn.ask("PATCH", f"/parcels/{parcel.id}", body=change, check=check, writer=truth.writer)
        right = done.data is not None
    finally:
        parcel.end(acknowledged=right)
    return done.id if right else None
