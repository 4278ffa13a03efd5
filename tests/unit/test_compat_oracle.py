"""What is wrong with a row, by its name: the oracle knows what was written, by whom, and what follows from it."""

from pathlib import Path
from typing import Any

import pytest

from lab.compat.catalogue import Symptom
from lab.compat.checks import read_checks
from lab.compat.oracle import UNKNOWN, Row, look, pages, shape
from lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
(PARCELS,) = read_checks(ROOT / "sample_app/schema/compat.toml").resources
WHOLE = {"recipient_name": "Ann Lee", "address": "1 Mill Lane", "key": "k", "status": "new"}


def row(writer: str = "v1", **values: Any) -> Row:
    made = Row(id=1, age=writer, values={}, writer=writer)
    made.write(PARCELS, writer, {**WHOLE, **values} if writer == "v1" else {"key": "k", "status": "new", **values})
    return made


def symptoms(made: Row, version: str, **shown: Any) -> list[tuple[str, str]]:
    return [(wrong.symptom.value, wrong.what.split(" ")[0]) for wrong in look(PARCELS, made, shown, version)]


def as_v2(made: Row, first: str | None, last: str | None, name: str | None = "Ann Lee") -> list[tuple[str, str]]:
    rest = {name: made.values.get(name, "x") for name in ("key", "address", "status")}
    return symptoms(made, "v2", **rest, first_name=first, last_name=last, recipient_name=name)


def as_v1(made: Row, name: str | None) -> list[tuple[str, str]]:
    rest = {name: made.values.get(name, "x") for name in ("key", "address", "status")}
    return symptoms(made, "v1", **rest, recipient_name=name)


def test_a_row_of_v1_is_right_for_v2_however_it_splits_the_name() -> None:
    made = row()

    assert made.values["first_name"] is UNKNOWN
    assert as_v2(made, "Ann", "Lee") == []
    assert as_v2(made, "Ann Lee", "") == []


def test_a_row_that_was_never_filled_is_null() -> None:
    assert as_v2(row(), None, None, None) == [("NULL", "recipient_name"), ("NULL", "first_name"), ("NULL", "last_name")]


def test_what_v2_wrote_is_the_whole_name_that_v1_has_to_see() -> None:
    made = row("v2", first_name="Mary Ann", last_name="Lee", address="x")

    assert as_v1(made, "Mary Ann Lee") == []
    assert as_v1(made, "Ann Lee") == [("LOST", "recipient_name")]


def test_an_old_value_that_is_still_shown_is_stale_and_one_that_comes_back_is_lost() -> None:
    made = row()
    made.write(PARCELS, "v1", {"recipient_name": "Cher"})

    assert as_v2(made, "Ann", "Lee", "Ann Lee") == [("STALE", "recipient_name")]
    assert as_v1(made, "Cher") == []
    assert as_v1(made, "Ann Lee") == [("LOST", "recipient_name")]


def test_what_v2_split_stays_when_v1_writes_another_field_or_the_same_name() -> None:
    made = row("v2", first_name="Mary Ann", last_name="Lee", address="x")
    made.write(PARCELS, "v1", {"address": "y"})
    made.write(PARCELS, "v1", {"recipient_name": "Mary Ann Lee"})

    assert as_v2(made, "Mary Ann", "Lee", "Mary Ann Lee") == []
    assert as_v2(made, "Mary", "Ann Lee", "Mary Ann Lee") == [("LOST", "first_name"), ("LOST", "last_name")]


def test_a_field_that_the_last_writer_did_not_know_and_that_is_gone_was_stripped() -> None:
    made = row("v2", first_name="Mary Ann", last_name="Lee", address="x")
    made.write(PARCELS, "v1", {"address": "y"})

    assert as_v2(made, None, "Lee", "Mary Ann Lee") == [("STRIPPED", "first_name")]


def test_a_field_that_is_not_there_at_all_is_another_shape() -> None:
    assert [wrong.symptom for wrong in shape(PARCELS, {"key": "k"}, "v1")] == [Symptom.SHAPE] * 3
    assert [wrong.symptom for wrong in shape(PARCELS, "none", "v1")] == [Symptom.SHAPE]


def test_a_list_has_every_row_once_and_others_rows_are_not_minded() -> None:
    assert pages({1, 2}, [3, 1, 2]) == ()
    assert [w.symptom for w in pages({1, 2}, [1, 1])] == [Symptom.DUP, Symptom.MISS]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing would be asked"),
        ("[[check]]\nname = 'a'\nrequest = 'FETCH /a'", r"check\[0\].request: 'FETCH /a' is no request"),
        ("[[check]]\nname = 'a'\nrequest = 'GET /a'\nstatus = 20", r"check\[0\].status: 20 is no HTTP status"),
        ("[[check]]\nname = 'a'\nrequest = 'GET /a'\nstatos = 200", "statos: there is no such key"),
        ("[[resource]]\nname = 'a'\ncreate = 'POST /a'", "fields: a resource has at least one field"),
        (
            "[[resource]]\nname = 'a'\ncreate = 'POST /a'\nfields.b.made_of = '{c}'",
            r"fields.b.made_of: there is no field 'c'",
        ),
        ("openapi = ", "Invalid value"),
    ],
)
def test_checks_that_cannot_be_used_are_refused_with_the_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "compat.toml"
    file.write_text(text)

    with pytest.raises(LabError, match=told) as caught:
        read_checks(file)

    assert (caught.value.id, caught.value.where) == ("compat-checks", str(file))
