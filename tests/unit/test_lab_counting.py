"""What a gate judges by: requests of one revision, counted once, whoever comes, goes or begins anew."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lab.counting import CountedTraffic, CountingLook, counted_so_far
from lab.gates import Samples
from lab.model import Container, Place, Replica
from lab.ports import Event, Sight


def replica(name: str, revision: int, requests: int, errors: int = 0, place: Place | None = Place.READY) -> Replica:
    return Replica(
        name=name,
        slot=int(name[4]),
        generation=int(name[6]),
        revision=revision,
        version=f"v{revision}",
        container=Container.RUNNING,
        place=place,
        requests=requests,
        errors=errors,
    )


def looked(*looks: list[Replica]) -> CountedTraffic:
    traffic = CountedTraffic()
    for look in looks:
        traffic.note(look)
    return traffic


def test_each_revision_has_the_sum_of_its_replicas() -> None:
    traffic = looked([], [replica("app-1.2", 2, 10, 1), replica("app-2.2", 2, 20, 2), replica("app-3.1", 1, 300)])

    assert (traffic.counted(2), traffic.counted(1), traffic.counted(7)) == ((30, 3), (300, 0), (0, 0))


def test_a_replica_that_is_gone_is_not_forgotten() -> None:
    traffic = looked([], [replica("app-1.2", 2, 10, 4)], [])

    assert traffic.counted(2) == (10, 4)


def test_one_that_lost_its_route_keeps_what_was_counted() -> None:
    last = replica("app-1.2", 2, 10, 4)

    traffic = looked([], [last], [replace(last, place=None, requests=0, errors=0)])

    assert traffic.counted(2) == (10, 4)


def test_what_it_had_answered_before_the_rollout_began_is_not_the_rollout_s() -> None:
    traffic = looked([replica("app-1.1", 1, 1000, 7)], [replica("app-1.1", 1, 1010, 8)])

    assert traffic.counted(1) == (10, 1)


def test_a_proxy_that_came_back_counts_on() -> None:
    traffic = looked([], [replica("app-1.2", 2, 100, 5)], [replica("app-1.2", 2, 3, 0)], [replica("app-1.2", 2, 30, 1)])

    assert traffic.counted(2) == (130, 6)


def test_a_controller_that_came_back_goes_on_from_what_its_journal_says() -> None:
    traffic = CountedTraffic({2: (500, 9)})
    traffic.note([replica("app-1.2", 2, 80, 3)])
    mark = Samples(requests=500, errors=9)

    assert traffic.counted(2) == (500, 9)
    traffic.note([replica("app-1.2", 2, 90, 4)])
    requests, errors = traffic.counted(2)
    assert Samples(requests=requests, errors=errors).since(mark) == Samples(requests=10, errors=1)


def test_the_journal_s_last_word_on_each_revision_counts() -> None:
    def changed(run: str, target: int, requests: int, errors: int) -> Event:
        data = {"target": target, "requests": requests, "errors": errors}
        return Event(type="phase-changed", run=run, t_ns=0, data=data)

    other = Event(type="act-done", run="b", t_ns=0, data={})
    before = [changed("another", 2, 999, 99), changed("a", 2, 10, 0), changed("a", 1, 7, 0)]
    assert counted_so_far([*before, other, changed("b", 2, 50, 3)], {"a", "b"}) == {2: (50, 3), 1: (7, 0)}


def test_a_count_that_went_down_began_anew_and_is_never_negative() -> None:
    mark = Samples(requests=100, errors=7)

    assert Samples(requests=40, errors=2).since(mark) == Samples(requests=40, errors=2)
    assert Samples(requests=120, errors=2).since(mark) == Samples(requests=120, errors=2)


_TALLY = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: (sum(pair), pair[1]))


@given(_TALLY, _TALLY)
def test_no_sample_has_more_errors_than_requests_nor_less_than_none(
    now: tuple[int, int], mark: tuple[int, int]
) -> None:
    since = Samples(requests=now[0], errors=now[1]).since(Samples(requests=mark[0], errors=mark[1]))

    assert since.requests >= 0
    assert since.errors >= 0


@given(
    st.lists(st.tuples(st.sampled_from(["app-1.1", "app-2.1"]), st.integers(0, 9), st.integers(0, 9), st.booleans()))
)
def test_whatever_restarts_every_request_is_counted_once(steps: list[tuple[str, int, int, bool]]) -> None:
    traffic, have, told = looked([]), {"app-1.1": (0, 0), "app-2.1": (0, 0)}, (0, 0)
    for name, good, bad, restarts in steps:
        if restarts:
            traffic.note([replica(each, 1, 0, 0) for each in have])
            have = dict.fromkeys(have, (0, 0))
        requests, errors = have[name]
        have[name] = (requests + good + bad, errors + bad)
        told = (told[0] + good + bad, told[1] + bad)
        traffic.note([replica(each, 1, *count) for each, count in have.items()])

    assert traffic.counted(1) == told


async def test_the_look_passes_on_what_it_saw_and_the_traffic_has_seen_it() -> None:
    class Sees:
        async def look(self, *, whole: bool) -> Sight:
            return Sight(seq=1, now_ns=2, replicas=(replica("app-1.2", 2, 5),), whole=whole)

    traffic = looked([])
    sight = await CountingLook(Sees(), traffic).look(whole=False)

    assert (sight.seq, sight.whole, traffic.counted(2)) == (1, False, (5, 0))
