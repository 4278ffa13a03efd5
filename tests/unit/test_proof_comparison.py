"""V1 against V2 in the same half-seconds. The whole experiment, with its figures: make soak-latency."""

import random
from collections import Counter

import pytest

from lab.proof.answers import Answer, Answers
from lab.proof.comparison import bootstrap_of_median, compare, quantile, worst
from lab.proof.records import Service
from lab.proof.result import Comparison, Pace
from tests.latency_noise import SECOND, SERVICES, roll

TRIALS = 60


def judged(seed: int, **changes: float) -> Comparison:
    return compare(roll(seed, **changes), SERVICES, "v1", "v2")  # type: ignore[arg-type]  # numbers by name


def outcomes(**changes: float) -> Counter[Pace]:
    return Counter(judged(seed, **changes).outcome for seed in range(TRIALS))


def test_identical_versions_raise_at_most_one_alarm_in_60() -> None:
    assert outcomes()[Pace.WORSE] <= 1


def test_a_version_slower_by_half_is_found_in_at_least_50_of_60() -> None:
    assert outcomes(slower=1.5)[Pace.WORSE] >= 50


def test_a_faster_version_is_no_alarm() -> None:
    assert {judged(seed, slower=0.6).outcome for seed in range(10)} == {Pace.OK}


def test_what_got_worse_is_told_with_its_limits() -> None:
    change = worst(judged(1, slower=2.0))
    assert change is not None
    assert change.low <= change.ratio <= change.high
    assert change.low < 2.0 < change.high
    assert change.new_ms > change.old_ms
    assert change.pairs >= 5


def test_a_difference_below_a_millisecond_is_no_alarm() -> None:
    assert judged(1, slower=2.0, base_ms=0.3).outcome is Pace.OK


@pytest.mark.parametrize("answers", [[], roll(1)[:400], roll(1, rate=20)])
def test_too_little_data_is_said_and_not_judged(answers: list[Answer]) -> None:
    found = compare(answers, SERVICES, "v1", "v2")
    assert (found.outcome, found.changes, worst(found)) == (Pace.TOO_LITTLE, (), None)


def test_at_a_low_rate_the_median_alone_is_judged() -> None:
    assert {change.percent for change in judged(1, rate=100).changes} == {50}


def test_the_first_second_of_a_replica_is_not_held_against_its_version() -> None:
    fresh = {service.replica: service.from_ns + SECOND for service in SERVICES}
    cold = [
        Answer(due_ns=a.due_ns, took_ns=a.took_ns * 20, replica=a.replica)
        if a.due_ns < fresh.get(a.replica or "", 0)
        else a
        for a in roll(1)
    ]
    assert compare(cold, SERVICES, "v1", "v2") == judged(1)


def test_a_wave_that_meets_both_versions_alike_is_no_alarm() -> None:
    """The old version has the quiet first half mostly for itself, the new one the noisy second half."""
    loud = [
        Answer(due_ns=a.due_ns, took_ns=a.took_ns * (5 if a.due_ns > 5 * SECOND else 1), replica=a.replica)
        for a in roll(1)
    ]
    assert compare(loud, SERVICES, "v1", "v2").outcome is Pace.OK


def test_the_same_version_twice_is_told_apart_by_its_replicas() -> None:
    assert compare(roll(1, slower=2.0), SERVICES, "v1", "v1").outcome is Pace.WORSE


def test_without_a_new_replica_there_is_nothing_to_compare() -> None:
    assert compare(roll(1), (), "v1", "v1").outcome is Pace.TOO_LITTLE
    gone = Service(replica="app-9.2", from_ns=0)
    assert compare(roll(1), (gone,), "v1", "v2").outcome is Pace.TOO_LITTLE


@pytest.mark.parametrize("n", [5, 6, 11, 40])
def test_the_limits_are_those_of_a_bootstrap_that_is_drawn(n: int) -> None:
    rng = random.Random(n)
    values = [rng.lognormvariate(0, 0.3) for _ in range(n)]
    drawn = [sorted(rng.choices(values, k=n)) for _ in range(4000)]
    ordered = sorted(values)
    low, high = bootstrap_of_median(values)
    lowers = sorted(sample[(n - 1) // 2] for sample in drawn)
    uppers = sorted(sample[n // 2] for sample in drawn)
    assert abs(ordered.index(low) - ordered.index(lowers[200])) <= 1
    assert abs(ordered.index(high) - ordered.index(uppers[3800])) <= 1


def test_the_limits_of_an_hour_of_half_seconds_are_found_too() -> None:
    low, high = bootstrap_of_median([n / 7200 for n in range(7200)])
    assert 0.48 < low < 0.5 < high < 0.52


def test_a_percentile_does_not_depend_on_how_many_answers_an_arm_has() -> None:
    """The mean of the 95th percentile over many samples: of 20 values as of 200."""
    rng = random.Random(1)
    means = []
    for size in (20, 200):
        found = [quantile(sorted(rng.randrange(1_000_000) for _ in range(size)), 95) for _ in range(2000)]
        means.append(sum(found) / len(found))
    assert means[0] == pytest.approx(means[1], rel=0.01)
    assert means[0] == pytest.approx(950_000, rel=0.01)


def test_columns_give_back_what_was_put_in() -> None:
    answers = Answers()
    for number, replica in enumerate(["a", None, "b", "a"]):
        answers.add(number, number * 10, replica)
    assert [(a.due_ns, a.took_ns, a.replica) for a in answers] == [
        (0, 0, "a"),
        (1, 10, None),
        (2, 20, "b"),
        (3, 30, "a"),
    ]
