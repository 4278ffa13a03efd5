"""What is offered, and when, is settled before the first answer."""

import random
from collections import Counter
from itertools import islice, pairwise

import pytest

from loadtest.outcomes import Outcome
from loadtest.schedule import Arrivals, Share, Slot, plan_slow, shares, slots, vary
from loadtest.settings import parse
from loadtest.tally import Tally, percentile_ms

WEIGHTS = {"read": (40.0, 1), "write": (15.0, 1), "read_your_writes": (20.0, 2)}


def dealt(count: int, *, rate: float = 100.0, seed: int = 1, arrivals: Arrivals = Arrivals.FIXED) -> list[Slot]:
    mix = shares(WEIGHTS, plan_slow(rate, 3, deadline_s=30), rate)
    return list(islice(slots(mix, rate=rate, seed=seed, arrivals=arrivals), count))


@pytest.mark.parametrize(
    ("rate", "replicas", "per_second", "seconds", "in_flight"),
    [
        (100, 3, 15, 1.0, 15),
        (100, 1, 5, 1.0, 5),
        (100, 10, 20, 2.5, 50),
        (300, 10, 50, 1.0, 50),
        (10, 3, 2, 7.5, 15),
        (1, 3, 0.2, 10.0, 2),  # capped: a longer request would meet the drain timeout
    ],
)
def test_the_slow_cohort_keeps_about_five_in_flight_on_each_replica(
    rate: float, replicas: int, per_second: float, seconds: float, in_flight: float
) -> None:
    plan = plan_slow(rate, replicas, deadline_s=30)
    assert (plan.per_second, plan.seconds, plan.in_flight) == pytest.approx((per_second, seconds, in_flight))


def test_a_slow_request_is_never_sized_beyond_the_deadline() -> None:
    assert plan_slow(10, 10, deadline_s=3).seconds == 1.0


def test_slow_seconds_vary_by_a_fifth_at_most() -> None:
    rng = random.Random(1)
    seconds = [vary(2.0, rng) for _ in range(200)]
    assert 1.6 <= min(seconds) < 1.7
    assert 2.3 < max(seconds) <= 2.4


def test_the_parts_of_the_rate_add_up_to_all_of_it() -> None:
    for rate, replicas in ((100, 3), (7, 10), (1000, 1)):
        mix = shares(WEIGHTS, plan_slow(rate, replicas, deadline_s=30), rate)
        assert sum(share.part for share in mix.values()) == pytest.approx(1)


def test_each_cohort_gets_its_share_of_the_requests() -> None:
    counted = Counter(slot.cohort for slot in dealt(10_000))
    requests = counted["read"] + counted["write"] + 2 * counted["read_your_writes"] + counted["slow"]
    assert counted["slow"] / requests == pytest.approx(0.15, abs=0.001)
    assert counted["read"] / requests == pytest.approx(0.85 * 40 / 75, abs=0.001)
    assert 2 * counted["read_your_writes"] / requests == pytest.approx(0.85 * 20 / 75, abs=0.001)


def test_slow_requests_are_spread_so_that_what_is_in_flight_stays_level() -> None:
    due = [slot.after_ns for slot in dealt(5_000) if slot.cohort == "slow"]
    gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(due)]
    assert min(gaps) > 0.03
    assert max(gaps) < 0.13  # 1 / 15 of a second on average


def test_requests_are_due_at_the_rate_and_a_turn_of_two_takes_two_places() -> None:
    sequence = dealt(1_000, rate=250)
    assert [slot.after_ns for slot in sequence] == [int(slot.place / 250 * 1e9) for slot in sequence]
    steps = {slot.cohort: later.place - slot.place for slot, later in pairwise(sequence)}
    assert steps == {"read": 1, "write": 1, "read_your_writes": 2, "slow": 1}


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert dealt(500, seed=7) == dealt(500, seed=7)
    assert dealt(500, seed=7) != dealt(500, seed=8)


def test_poisson_arrivals_keep_the_rate_on_average() -> None:
    last = dealt(20_000, rate=100, arrivals=Arrivals.POISSON)[-1]
    assert last.place / (last.after_ns / 1e9) == pytest.approx(100, rel=0.05)


def test_a_cohort_alone_gets_everything() -> None:
    only = list(islice(slots({"read": Share(part=1)}, rate=10, seed=1), 3))
    assert [slot.after_ns for slot in only] == [0, 100_000_000, 200_000_000]


def test_offered_is_always_finished_and_not_sent_and_in_flight() -> None:
    tally = Tally()
    for _ in range(4):
        tally.offer()
    tally.end(Outcome.OK, now=1, latency_ns=1)
    tally.end(Outcome.RESET, now=1, latency_ns=1)
    tally.end(Outcome.NOT_SENT, now=1, latency_ns=1)
    counts = tally.counts
    assert (counts.offered, counts.finished, counts.failed, counts.not_sent, counts.in_flight) == (4, 2, 1, 1, 1)


def test_percentiles_leave_out_requests_without_an_answer_and_old_ones() -> None:
    tally = Tally()
    tally.end(Outcome.OK, now=0, latency_ns=9_000_000_000)
    tally.end(Outcome.OK, now=6_000_000_000, latency_ns=2_000_000)
    tally.end(Outcome.TIMEOUT, now=6_000_000_000, latency_ns=30_000_000_000)
    tally.end(Outcome.OK, now=6_000_000_000, latency_ns=None)
    assert tally.recent_ms(6_000_000_000, 0.5, 0.99) == [2.0, 2.0]
    assert Tally().recent_ms(0, 0.5) == [None]
    assert percentile_ms(range(0, 100_000_000, 1_000_000), 0.99) == 99.0


@pytest.mark.parametrize(
    ("flag", "value"), [("--rate", "0"), ("--replicas", "0"), ("--run", "a/b"), ("--run", "x" * 39), ("--rate", "inf")]
)
def test_a_setting_that_cannot_be_meant_is_a_usage_error(flag: str, value: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(["--target", "http://proxy", "--run", "r", flag, value], {})
    assert stopped.value.code == 2


def test_the_runs_folder_comes_from_the_environment() -> None:
    settings = parse(["--target", "http://proxy", "--run", "r1"], {"LAB_RUNS_DIR": "/elsewhere"})
    assert str(settings.ledger) == "/elsewhere/r1/client.jsonl"
