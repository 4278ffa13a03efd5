"""Durations and ages as people write them, and what is none."""

import pytest

from lab.durations import age, age_words, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500ms", 0.5), ("10s", 10), ("1m30s", 90), ("2h", 7200), ("1.5s", 1.5), ("0s", 0), ("1h1m1s", 3661)],
)
def test_a_duration_reads_as_compose_reads_it(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "10", 10, "s", "-1s", "1 s", "10x", "1m 30s", "1s!", "1e3s", None])
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 500ms"):
        seconds(text)


def test_an_age_may_be_said_in_days_and_is_told_in_the_largest_unit() -> None:
    assert [age(text) for text in ("7d", "12h", "0s")] == [604_800, 43_200, 0]
    assert [age_words(old) for old in (59, 60, 7199, 86_400, 200_000)] == [
        "less than a minute",
        "1 minute",
        "1 hour",
        "1 day",
        "2 days",
    ]
    with pytest.raises(ValueError, match="is not a duration"):
        age("1.5d")
