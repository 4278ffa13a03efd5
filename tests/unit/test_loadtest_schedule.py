"""What is offered, and when, is settled before the first answer."""

import random
from collections import Counter
from itertools import islice, pairwise

import pytest

from loadtest.cohorts import Cohort
from loadtest.mix import NoMix, mixed, parse_weights
from loadtest.outcomes import Outcome
from loadtest.schedule import Arrivals, Share, Slot, plan_slow, slots, vary
from loadtest.settings import parse
from loadtest.shape import Steady
from loadtest.tally import Counts, Tally, figures_from_json, figures_to_json, no_figures

NOBODY = lambda _user, _turn: None  # noqa: E731
COHORTS = {
    "read": Cohort(NOBODY, 40.0),
    "write": Cohort(NOBODY, 15.0),
    "read_your_writes": Cohort(NOBODY, 20.0, 2),
    "slow": Cohort(NOBODY, slow=True),
}


def dealt(count: int, *, rate: float = 100.0, seed: int = 1, arrivals: Arrivals = Arrivals.FIXED) -> list[Slot]:
    mix = mixed(COHORTS, {}, plan_slow(rate, 3, deadline_s=30), rate)
    return list(islice(slots(mix, shape=Steady(rate=rate), seed=seed, arrivals=arrivals), count))


@pytest.mark.parametrize(
    ("rate", "replicas", "per_second", "seconds", "in_flight"),
    [
        (100, 3, 6, 2.5, 15),
        (100, 1, 2, 2.5, 5),
        (100, 10, 20, 2.5, 50),
        (300, 10, 20, 2.5, 50),
        (10, 3, 2, 7.5, 15),
        (1, 3, 0.2, 8.0, 1.6),  # capped: a longer request would meet the drain timeout
    ],
)
def test_the_slow_cohort_keeps_about_five_in_flight_on_each_replica(
    rate: float, replicas: int, per_second: float, seconds: float, in_flight: float
) -> None:
    plan = plan_slow(rate, replicas, deadline_s=30)
    assert (plan.per_second, plan.seconds, plan.in_flight) == pytest.approx((per_second, seconds, in_flight))


def test_a_slow_request_is_never_sized_beyond_the_deadline() -> None:
    assert plan_slow(10, 10, deadline_s=3).seconds == 1.0


def test_slow_requests_of_a_given_length_are_as_many_as_a_fifth_of_the_rate_allows() -> None:
    plan = plan_slow(100, 3, deadline_s=30, seconds=0.5)
    assert (plan.per_second, plan.seconds) == (20.0, 0.5)
    assert plan_slow(100, 3, deadline_s=30, seconds=5.0).per_second == 3.0


def test_slow_seconds_vary_by_a_fifth_at_most() -> None:
    rng = random.Random(1)
    seconds = [vary(2.0, rng) for _ in range(200)]
    assert 1.6 <= min(seconds) < 1.7
    assert 2.3 < max(seconds) <= 2.4


def test_the_parts_of_the_rate_add_up_to_all_of_it() -> None:
    for rate, replicas in ((100, 3), (7, 10), (1000, 1)):
        mix = mixed(COHORTS, {}, plan_slow(rate, replicas, deadline_s=30), rate)
        assert sum(share.part for share in mix.values()) == pytest.approx(1)


def test_each_cohort_gets_its_share_of_the_requests() -> None:
    counted = Counter(slot.cohort for slot in dealt(10_000))
    requests = counted["read"] + counted["write"] + 2 * counted["read_your_writes"] + counted["slow"]
    assert counted["slow"] / requests == pytest.approx(0.06, abs=0.001)
    assert counted["read"] / requests == pytest.approx(0.94 * 40 / 75, abs=0.001)
    assert 2 * counted["read_your_writes"] / requests == pytest.approx(0.94 * 20 / 75, abs=0.001)


def test_slow_requests_are_spread_so_that_what_is_in_flight_stays_level() -> None:
    due = [slot.after_ns for slot in dealt(5_000) if slot.cohort == "slow"]
    gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(due)]
    assert min(gaps) > 0.1
    assert max(gaps) < 0.25  # 1 / 6 of a second on average


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
    only = list(islice(slots({"read": Share(part=1)}, shape=Steady(rate=10), seed=1), 3))
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


def test_what_was_cut_in_order_is_finished_and_not_failed() -> None:
    tally = Tally()
    tally.offer()
    tally.end(Outcome.CUT, now=1, latency_ns=1)
    assert tally.counts == Counts(offered=1, finished=1, cut=1)


def test_percentiles_leave_out_requests_without_an_answer_and_old_ones() -> None:
    tally = Tally()
    tally.end(Outcome.OK, now=0, latency_ns=9_000_000_000)
    tally.end(Outcome.OK, now=6_000_000_000, latency_ns=2_000_000)
    tally.end(Outcome.TIMEOUT, now=6_000_000_000, latency_ns=30_000_000_000)
    tally.end(Outcome.OK, now=6_000_000_000, latency_ns=None)
    recent = tally.figures(6_000_000_000).recent_latencies
    assert [recent.percentile_ms(0.5), recent.percentile_ms(0.99)] == [pytest.approx(2.0, rel=0.01)] * 2
    assert no_figures().lags.percentile_ms(0.5) is None


def test_the_figures_of_two_processes_add_up_also_when_they_were_sent() -> None:
    tally = Tally()
    tally.offer()
    tally.lag(3_000_000, now=1)
    tally.end(Outcome.OK, now=1, latency_ns=5_000_000)
    one = tally.figures(1)
    both = one + figures_from_json(figures_to_json(one))
    assert both.counts == Counts(offered=2, finished=2)
    assert both.lags.counts == {bucket: 2 * count for bucket, count in one.lags.counts.items()}
    assert both.recent_lags.percentile_ms(0.99) == pytest.approx(3.0, rel=0.01)


def test_weights_that_a_person_names_are_all_there_is() -> None:
    mix = mixed(COHORTS, parse_weights("read=3,slow=1"), plan_slow(100, 3, deadline_s=30), 100)
    assert mix == {"read": Share(part=0.75), "slow": Share(part=0.25)}


@pytest.mark.parametrize("text", ["read", "read=x", "read=0", "read=-1,write=2", "read=inf", "", "read=nan"])
def test_weights_that_cannot_be_meant_are_refused(text: str) -> None:
    with pytest.raises(NoMix):
        parse_weights(text)


def test_a_cohort_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(NoMix, match="no cohort reed; there are read, write"):
        mixed(COHORTS, {"reed": 1.0}, plan_slow(100, 3, deadline_s=30), 100)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--rate", "0"),
        ("--replicas", "0"),
        ("--run", "a/b"),
        ("--run", "x" * 39),
        ("--rate", "inf"),
        ("--cohorts", "read"),
        ("--shape", "square"),
        ("--workers", "0"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_a_usage_error(flag: str, value: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(["--target", "http://proxy", "--run", "r", flag, value], {})
    assert stopped.value.code == 2


def test_the_runs_folder_comes_from_the_environment() -> None:
    settings = parse(["--target", "http://proxy", "--run", "r1"], {"LAB_RUNS_DIR": "/elsewhere"})
    assert str(settings.ledger) == "/elsewhere/r1/client.jsonl"
