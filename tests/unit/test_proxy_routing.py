"""P1 on the table itself: whatever the order of events, nothing is claimed on what was retired."""

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.errors import IllegalPlaceError, NotFoundError, NotProvenError, ProxyError
from proxy.readiness import Probe, Readiness
from proxy.routing import Claim, Route, RoutingTable
from proxy.transitions import HEALTH, PLACES, Change, Finding, Health, Place

READINESS = Readiness(
    path="/readyz",
    passes=2,
    min_ready_ms=0,
    interval_ms=1000,
    fast_interval_ms=100,
    timeout_ms=1000,
    fails=2,
    identity=True,
)
NAMES = ["app-1.1", "app-1.2", "app-2.1"]


def a_route(name: str, now_ns: int = 0) -> Route:
    return Route(
        replica=name, slot=1, generation=1, version="v1", address="10.0.0.1:80", readiness=READINESS, joined_ns=now_ns
    )


def a_probe(*, ok: bool, t: int = 0) -> Probe:
    return Probe(t=t, ok=ok, status=200 if ok else 503, body="", elapsed_ms=1.0, error="" if ok else "status 503")


def a_table(*names: str) -> RoutingTable:
    """Return a table in which all these are ready and up."""
    table = RoutingTable()
    for name in names:
        table.join(a_route(name))
        table.observe(name, a_probe(ok=True))
        table.observe(name, a_probe(ok=True))
        table.admit(name)
    return table


def claimed(table: RoutingTable, *exclude: str) -> Claim:
    claim = table.claim(exclude)
    assert claim is not None
    return claim


def test_the_least_busy_is_picked_and_equals_take_turns() -> None:
    table = a_table("a", "b", "c")
    first = [claimed(table) for _ in range(3)]
    assert [claim.replica for claim in first] == ["a", "b", "c"]
    table.release(first[1])
    assert claimed(table).replica == "b"
    for _ in range(3):
        table.release(claim := claimed(table, "b"))
        assert claim.replica in {"a", "c"}


def test_equals_take_turns_when_each_request_ends_before_the_next() -> None:
    table = a_table("a", "b", "c")
    picked = []
    for _ in range(6):
        claim = claimed(table)
        picked.append(claim.replica)
        table.release(claim)
    assert picked == ["a", "b", "c"] * 2


def test_an_ejected_replica_is_passed_over_unless_all_are() -> None:
    table = a_table("a", "b")
    for _ in range(2):
        table.observe("a", a_probe(ok=False))
    assert {claimed(table).replica for _ in range(4)} == {"b"}
    assert table.claim({"b"}) is None, "a second attempt must not turn to an ejected one"
    for _ in range(2):
        table.observe("b", a_probe(ok=False))
    assert {claimed(table).replica for _ in range(6)} == {"a", "b"}


def test_an_epoch_tells_before_or_after_a_change() -> None:
    table = a_table("a", "b")
    before = claimed(table)
    table.retire("a", now_ns=1, deadline_ns=2)
    after = claimed(table)
    assert before.epoch < table.epoch == after.epoch


def test_retiring_again_moves_the_deadline_only_forward_in_time() -> None:
    table = a_table("a")
    table.retire("a", now_ns=5, deadline_ns=50)
    epoch = table.epoch
    table.retire("a", now_ns=6, deadline_ns=60)
    assert (table.epoch, table.entries["a"].route.deadline_ns) == (epoch, 50)
    table.retire("a", now_ns=7, deadline_ns=40)
    route = table.entries["a"].route
    assert (table.epoch, route.deadline_ns, route.retired_ns) == (epoch + 1, 40, 5)


def test_a_claim_given_back_twice_is_an_error() -> None:
    table = a_table("a")
    claim = claimed(table)
    table.release(claim)
    with pytest.raises(RuntimeError):
        table.release(claim)
    assert table.entries["a"].in_flight == 0


def test_a_claim_outlives_the_removal_of_its_replica_and_does_not_count_for_its_successor() -> None:
    table = a_table("a")
    claim = claimed(table)
    table.remove("a", lost=True)
    table.join(a_route("a"))
    table.release(claim)
    assert table.entries["a"].in_flight == 0


def test_nothing_is_removable_with_a_request_in_flight() -> None:
    table = a_table("a")
    claim = claimed(table)
    table.retire("a", now_ns=1, deadline_ns=2)
    with pytest.raises(IllegalPlaceError, match="1 requests"):
        table.emptied("a")
    table.release(claim)
    table.emptied("a")
    assert table.entries["a"].route.place is Place.REMOVABLE


def test_only_a_proven_replica_is_admitted_and_only_a_healthy_one_restored() -> None:
    table = RoutingTable()
    table.join(a_route("a"))
    with pytest.raises(NotProvenError, match="no probe"):
        table.admit("a")
    table.observe("a", a_probe(ok=True))
    with pytest.raises(NotProvenError, match="1 of 2"):
        table.admit("a")
    table.observe("a", a_probe(ok=True))
    table.admit("a")
    table.retire("a", now_ns=1, deadline_ns=9)
    table.observe("a", a_probe(ok=False))
    with pytest.raises(NotProvenError, match="status 503"):
        table.restore("a")
    table.observe("a", a_probe(ok=True))
    table.observe("a", a_probe(ok=True))
    table.restore("a")
    assert table.entries["a"].route.deadline_ns is None


def test_joining_the_same_again_is_no_change_and_another_under_its_name_is_refused() -> None:
    table = RoutingTable()
    table.join(a_route("a", now_ns=1))
    epoch = table.epoch
    table.join(a_route("a", now_ns=2))
    assert table.epoch == epoch
    table.observe("a", a_probe(ok=True))
    table.observe("a", a_probe(ok=True))
    table.admit("a")
    with pytest.raises(IllegalPlaceError):
        table.join(a_route("a"))


def test_what_is_rolled_back_was_never_so() -> None:
    table = a_table("a", "b")
    before = table.checkpoint()
    table.retire("a", now_ns=1, deadline_ns=2)
    table.remove("b", lost=True)
    table.join(a_route("c"))
    table.roll_back(before)
    assert {name: entry.route.place for name, entry in table.entries.items()} == {"a": Place.READY, "b": Place.READY}
    assert (table.epoch, table.seq) == (before.epoch, before.seq)
    assert table.entries["a"].route.deadline_ns is None


def test_an_unknown_replica_is_named() -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        a_table("a").admit("nobody")


def test_the_tables_hold_every_lifecycle_step_and_no_probe_moves_a_place() -> None:
    assert {change for change, _ in PLACES} == set(Change)
    assert not {str(finding) for finding in Finding} & {str(change) for change in Change}
    assert set(HEALTH) == {(finding, health) for finding in Finding for health in Health}
    claims_on = {place for place in Place if place is Place.READY}
    assert {to for (change, _), to in PLACES.items() if to in claims_on and change is not Change.RESTORE} == claims_on
    assert [change for (change, _), to in PLACES.items() if to is Place.REMOVABLE] == [Change.RETIRE, Change.EMPTY]


class AnyOrder(RuleBasedStateMachine):
    """Random changes, probes, claims and releases; the promises are looked at after each."""

    def __init__(self) -> None:
        super().__init__()
        self.table = RoutingTable()
        self.open: list[Claim] = []
        self.retired: set[str] = set()
        self.epochs = [0]
        self.now = 0

    @rule(name=st.sampled_from(NAMES), change=st.sampled_from(list(Change)))
    def change(self, name: str, change: Change) -> None:
        self.now += 1
        before = self._routes()
        legal = (change, before.get(name, Place.GONE)) in PLACES
        try:
            self._apply(change, name)
        except ProxyError:
            assert self._routes() == before, "a refused change changed something"
            return
        assert legal or change is Change.JOIN
        if change is Change.RETIRE:
            self.retired.add(name)
        elif change in {Change.RESTORE, Change.REMOVE, Change.LOSE}:
            self.retired.discard(name)
        if self._routes() != before and change is not Change.EMPTY:
            self.epochs.append(self.table.epoch)

    @rule(name=st.sampled_from(NAMES), ok=st.booleans())
    def probe(self, name: str, ok: bool) -> None:
        if name in self.table.entries:
            before = self._routes()
            self.table.observe(name, a_probe(ok=ok, t=self.now))
            assert self._routes() == before

    @rule()
    def claim(self) -> None:
        claim = self.table.claim()
        ready = [name for name, place in self._routes().items() if place is Place.READY]
        assert (claim is None) == (not ready)
        if claim is not None:
            assert claim.replica not in self.retired
            assert claim.entry.route.place is Place.READY
            self.open.append(claim)

    @rule(aborted=st.booleans())
    def release(self, aborted: bool) -> None:
        if self.open:
            self.table.release(self.open.pop(0), aborted=aborted)

    @invariant()
    def in_flight_is_what_was_claimed_and_not_given_back(self) -> None:
        for entry in self.table.entries.values():
            assert entry.in_flight == sum(claim.entry is entry for claim in self.open)

    @invariant()
    def epochs_only_rise(self) -> None:
        assert all(one < next_ for one, next_ in pairwise(self.epochs))

    @invariant()
    def a_drained_replica_can_be_emptied_and_only_it(self) -> None:
        for name, entry in list(self.table.entries.items()):
            if entry.route.place is Place.REMOVABLE:
                assert entry.in_flight == 0
            if entry.route.place is Place.DRAINING and entry.in_flight == 0:
                self.table.emptied(name)
                assert entry.route.place is Place.REMOVABLE

    def _routes(self) -> dict[str, Place]:
        return {name: entry.route.place for name, entry in self.table.entries.items()}

    def _apply(self, change: Change, name: str) -> None:
        match change:
            case Change.JOIN:
                self.table.join(a_route(name))
            case Change.ADMIT:
                self.table.admit(name)
            case Change.RETIRE:
                self.table.retire(name, now_ns=self.now, deadline_ns=self.now + 10)
            case Change.RESTORE:
                self.table.restore(name)
            case Change.EMPTY:
                self.table.emptied(name)
            case Change.REMOVE:
                self.table.remove(name, lost=False)
            case Change.LOSE:
                self.table.remove(name, lost=True)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
