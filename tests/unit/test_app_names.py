import pytest
from hypothesis import given
from hypothesis import strategies as st

from sample_app import names, v2


@given(st.text())
def test_joining_the_parts_gives_the_name_back(name: str) -> None:
    assert name.strip(" ") == names.join(*names.split(name))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Ann Lee", ("Ann", "Lee")),
        ("Ann Lee Smith", ("Ann", "Lee Smith")),
        ("Ann  Lee", ("Ann", " Lee")),
        ("Cher", ("Cher", "")),
        (" Ann Lee ", ("Ann", "Lee")),
    ],
)
def test_a_name_is_split_after_its_first_word(name: str, parts: tuple[str, str]) -> None:
    assert parts == names.split(name)


def test_a_name_with_an_empty_part_is_joined_without_a_blank() -> None:
    assert names.join("Cher", "") == "Cher"


def test_a_row_that_is_not_backfilled_has_no_name_to_join() -> None:
    assert names.join(None, None) is None


def test_v2_takes_the_parts_before_the_whole() -> None:
    given_both = {"recipient_name": "Old Name", "first_name": "Mary Ann", "last_name": "Lee"}

    assert v2.recipient_columns(given_both) == {"first_name": "Mary Ann", "last_name": "Lee"}
    assert v2.recipient_columns({"recipient_name": "Old Name"}) == {"first_name": "Old", "last_name": "Name"}
    assert v2.recipient_columns({"first_name": "Eve"}) == {"first_name": "Eve", "last_name": None}
