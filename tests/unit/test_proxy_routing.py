"""P1 on the table itself: whatever the order of events, nothing is claimed on what was retired."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.errors import IllegalPlaceError, NotFoundError, NotProvenError, ProxyError
from proxy.readiness import Probe, Readiness
from proxy.routing import Claim, Deadlines, Kind, Route, RoutingTable
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


def until(ns: int) -> Deadlines:
    return Deadlines(short=ns, stream=ns, websocket=ns)


def a_table(*names: str, seed: int = 1) -> RoutingTable:
    """Return a table in which all these are ready and up."""
    table = RoutingTable(random=Random(seed).random)
    for name in names:
        table.join(a_route(name))
        table.observe(name, a_probe(ok=True))
        table.observe(name, a_probe(ok=True))
        table.admit(name)
    return table


def health(table: RoutingTable, name: str) -> str:
    return table.entries[name].standing.health.value


def claimed(table: RoutingTable, *exclude: str, now_ns: int = 0) -> Claim:
    claim = table.claim(exclude, now_ns=now_ns)
    assert claim is not None
    return claim


def test_of_two_the_less_busy_is_picked() -> None:
    table = a_table("a", "b")
    busy = claimed(table)
    assert {claimed(table).replica for _ in range(1)} == {"a", "b"} - {busy.replica}


def test_requests_are_spread_over_all_and_the_seed_decides_how() -> None:
    def picked(seed: int) -> list[str]:
        table = a_table("a", "b", "c", seed=seed)
        claims = [claimed(table) for _ in range(300)]
        return [claim.replica for claim in claims]

    assert picked(1) == picked(1) != picked(2)
    counts = [picked(1).count(name) for name in ("a", "b", "c")]
    assert max(counts) - min(counts) <= 6, "least of two stays within a few of even"


def test_a_replica_in_slow_start_is_given_little_and_then_its_share() -> None:
    table = a_table("a", "b")
    table.join(replace(a_route("c"), slow_start_ms=1000))
    for _ in range(2):
        table.observe("c", a_probe(ok=True))
    table.admit("c", now_ns=0)

    def share(now_ms: int) -> int:
        count = 0
        for _ in range(400):
            claim = claimed(table, now_ns=now_ms * 1_000_000)
            count += claim.replica == "c"
            table.release(claim)
        return count

    assert 0 < share(0) < 60
    assert 30 < share(500) < 130
    assert share(1000) > 90


def test_most_ejected_by_their_probes_are_used_all_the_same() -> None:
    table = a_table("a", "b", "c")
    for name in ("a", "b"):
        for _ in range(2):
            table.observe(name, a_probe(ok=False))
    assert {claimed(table).replica for _ in range(30)} == {"a", "b", "c"}


def test_connection_errors_in_a_row_take_a_replica_out_for_longer_each_time() -> None:
    table = a_table("a", "b")
    entry = table.entries["a"]
    for _ in range(2):
        table.errored(entry, now_ns=0)
    table.answered(entry)
    for _ in range(3):
        assert health(table, "a") == "up"
        table.errored(entry, now_ns=0)
    assert {claimed(table).replica for _ in range(9)} == {"b"}
    table.observe("a", a_probe(ok=True, t=1_999_999_999))
    assert health(table, "a") == "ejected", "a pass does not shorten its time"
    table.observe("a", a_probe(ok=True, t=2_000_000_000))
    assert health(table, "a") == "up"
    for _ in range(3):
        table.errored(entry, now_ns=5_000_000_000)
    table.observe("a", a_probe(ok=True, t=8_999_999_999))
    assert health(table, "a") == "ejected"
    table.observe("a", a_probe(ok=True, t=9_000_000_000))
    assert health(table, "a") == "up"


def test_the_panic_is_not_for_those_that_cannot_be_connected_to() -> None:
    table = a_table("a", "b", "c")
    for name in ("a", "b"):
        for _ in range(3):
            table.errored(table.entries[name], now_ns=0)
        table.observe(name, a_probe(ok=False))
    assert {claimed(table).replica for _ in range(30)} == {"c"}
    for _ in range(3):
        table.errored(table.entries["c"], now_ns=0)
    assert {claimed(table).replica for _ in range(30)} == {"c"}, "its probes say that it can be reached"
    table.observe("c", a_probe(ok=False))
    assert table.claim() is None


def test_a_restored_replica_gets_nothing_before_a_probe_of_it_has_ended() -> None:
    restored = replace(a_route("a"), place=Place.READY)
    table = RoutingTable([restored], random=Random(1).random)
    assert (table.claim(), table.entries["a"].standing.health) == (None, Health.UNPROVEN)
    table.observe("a", a_probe(ok=True))
    assert claimed(table).replica == "a"


def test_streams_and_websockets_are_counted_among_what_is_in_flight() -> None:
    table = a_table("a")
    claims = [claimed(table) for _ in range(3)]
    table.becomes(claims[0], Kind.STREAM)
    table.becomes(claims[1], Kind.WEBSOCKET)
    entry = table.entries["a"]
    assert (entry.in_flight, entry.streams, entry.websockets) == (3, 1, 1)
    table.release(claims[0], cut=True)
    table.release(claims[1], aborted=True)
    assert (entry.in_flight, entry.streams, entry.websockets, entry.cut, entry.aborted) == (1, 0, 0, 1, 1)


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
    table.retire("a", now_ns=1, deadlines=until(2))
    after = claimed(table)
    assert before.epoch < table.epoch == after.epoch


def test_retiring_again_moves_the_deadline_only_forward_in_time() -> None:
    table = a_table("a")
    table.retire("a", now_ns=5, deadlines=until(50))
    epoch = table.epoch
    table.retire("a", now_ns=6, deadlines=until(60))
    assert (table.epoch, table.entries["a"].route.deadlines) == (epoch, until(50))
    table.retire("a", now_ns=7, deadlines=until(40))
    route = table.entries["a"].route
    assert (table.epoch, route.deadlines, route.retired_ns) == (epoch + 1, until(40), 5)


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
    table.retire("a", now_ns=1, deadlines=until(2))
    with pytest.raises(IllegalPlaceError, match="1 requests"):
        table.emptied("a")
    table.release(claim)
    table.emptied("a")
    assert table.entries["a"].route.place is Place.REMOVABLE


def test_only_a_proven_replica_is_admitted_and_only_a_healthy_one_restored() -> None:
    table = RoutingTable(random=Random(1).random)
    table.join(a_route("a"))
    with pytest.raises(NotProvenError, match="no probe"):
        table.admit("a")
    table.observe("a", a_probe(ok=True))
    with pytest.raises(NotProvenError, match="1 of 2"):
        table.admit("a")
    table.observe("a", a_probe(ok=True))
    table.admit("a")
    table.retire("a", now_ns=1, deadlines=until(9))
    table.observe("a", a_probe(ok=False))
    with pytest.raises(NotProvenError, match="status 503"):
        table.restore("a")
    table.observe("a", a_probe(ok=True))
    table.observe("a", a_probe(ok=True))
    table.restore("a")
    assert table.entries["a"].route.deadlines is None


def test_joining_the_same_again_is_no_change_and_another_under_its_name_is_refused() -> None:
    table = RoutingTable(random=Random(1).random)
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
    table.retire("a", now_ns=1, deadlines=until(2))
    table.remove("b", lost=True)
    table.join(a_route("c"))
    table.roll_back(before)
    assert {name: entry.route.place for name, entry in table.entries.items()} == {"a": Place.READY, "b": Place.READY}
    assert (table.epoch, table.seq) == (before.epoch, before.seq)
    assert table.entries["a"].route.deadlines is None


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
        self.table = RoutingTable(random=Random(1).random)
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
        unproven = {Health.UNPROVEN}
        healths = [self.table.entries[name].standing.health for name in ready]
        if claim is None:
            assert Health.UP not in healths
        else:
            assert claim.entry.standing.health not in unproven
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
                assert self._routes()[name] is Place.REMOVABLE

    def _routes(self) -> dict[str, Place]:
        return {name: entry.route.place for name, entry in self.table.entries.items()}

    def _apply(self, change: Change, name: str) -> None:
        match change:
            case Change.JOIN:
                self.table.join(a_route(name))
            case Change.ADMIT:
                self.table.admit(name)
            case Change.RETIRE:
                self.table.retire(name, now_ns=self.now, deadlines=until(self.now + 10))
            case Change.RESTORE:
                self.table.restore(name)
            case Change.EMPTY:
                self.table.emptied(name)
            case Change.REMOVE:
                self.table.remove(name, lost=False)
            case Change.LOSE:
                self.table.remove(name, lost=True)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=50)
