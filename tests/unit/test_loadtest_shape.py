"""A shape says when so many requests are due, and the moment's rate follows from that."""

import math
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.histogram import Histogram, merged
from loadtest.schedule import Arrivals, Share, slots
from loadtest.shape import NoShape, Ramp, Shape, Spike, Steady, parse_shape

RATES = st.floats(min_value=1, max_value=2000)
SECONDS = st.floats(min_value=0.1, max_value=600)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("steady", Steady(rate=100)),
        ("ramp", Ramp(start=10, end=100, over=60)),
        ("ramp:from=0,to=200,over=10", Ramp(start=0, end=200, over=10)),
        ("spike", Spike(rate=100, at=20, lasting=5, times=3)),
        ("spike:at=1,for=2,times=4,every=30", Spike(rate=100, at=1, lasting=2, times=4, every=30)),
    ],
)
def test_a_shape_is_named_with_what_differs_from_its_defaults(text: str, shape: Shape) -> None:
    assert parse_shape(text, 100) == shape


@pytest.mark.parametrize(
    "text",
    [
        "",
        "square",
        "steady:at=1",
        "ramp:to=0",
        "ramp:over=x",
        "ramp:up=3",
        "spike:every=5",
        "spike:times=0",
        "ramp:to=inf",
    ],
)
def test_a_shape_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(NoShape):
        parse_shape(text, 100)


def test_a_ramp_has_offered_the_area_under_it() -> None:
    ramp = Ramp(start=0, end=100, over=10)
    assert [ramp.when(place) for place in (0, 125, 500, 600)] == pytest.approx([0, 5, 10, 11])


def test_a_spike_is_that_much_denser_and_comes_again() -> None:
    spike = Spike(rate=10, at=2, lasting=1, times=5, every=4)
    assert [spike.when(place) for place in (20, 45, 70, 80, 100, 150, 160)] == pytest.approx([2, 2.5, 3, 4, 6, 7, 8])


@given(start=RATES, end=RATES, over=SECONDS, place=st.floats(min_value=0, max_value=1e5))
def test_a_ramp_is_the_inverse_of_what_it_has_offered(start: float, end: float, over: float, place: float) -> None:
    t = Ramp(start=start, end=end, over=over).when(place)
    ramped = min(t, over)
    offered = start * ramped + (end - start) * ramped**2 / (2 * over) + max(t - over, 0) * end
    assert offered == pytest.approx(place, rel=1e-6, abs=1e-6)


@given(rate=RATES, at=SECONDS, lasting=SECONDS, times=st.floats(min_value=0.5, max_value=20), more=SECONDS)
def test_a_spike_never_goes_back_in_time(rate: float, at: float, lasting: float, times: float, more: float) -> None:
    spike = Spike(rate=rate, at=at, lasting=lasting, times=times, every=lasting + more)
    dues = [spike.when(place * rate * at / 10) for place in range(200)]
    assert dues == sorted(dues)
    assert all(math.isfinite(due) for due in dues)


def test_chance_arrivals_follow_the_shape_too() -> None:
    spike = Spike(rate=100, at=20, lasting=10, times=5)
    drawn = islice(slots({"read": Share(part=1)}, shape=spike, seed=1, arrivals=Arrivals.POISSON), 7_500)
    dues = [slot.after_ns / 1e9 for slot in drawn]
    inside = sum(20 <= due < 30 for due in dues)
    assert inside == pytest.approx(5_000, rel=0.1)
    assert sum(due < 20 for due in dues) == pytest.approx(2_000, rel=0.1)


@given(st.lists(st.integers(min_value=0, max_value=60_000_000_000), min_size=1, max_size=300))
def test_a_histogram_s_percentiles_are_true_to_one_percent(values: list[int]) -> None:
    parts = [Histogram(), Histogram()]
    for number, value in enumerate(values):
        parts[number % 2].add(value)
    for quantile in (0.0, 0.5, 0.99):
        exact = sorted(values)[min(int(quantile * len(values)), len(values) - 1)]
        assert merged(parts).percentile_ms(quantile) == pytest.approx(exact / 1e6, rel=0.01, abs=0.001)
