import json

import pytest

from sample_app import inputs, v1, v2
from sample_app.inputs import BadInputError

PARCEL = {"key": "k-1", "recipient_name": "Ann Lee", "address": "1 Main St"}


def raw(body: object) -> bytes:
    return json.dumps(body).encode()


def test_a_new_parcel_becomes_the_columns_of_its_version() -> None:
    common = {"key": "k-1", "address": "1 Main St"}

    assert {**common, "recipient_name": "Ann Lee"} == inputs.new_parcel(raw(PARCEL), v1.CODE)
    assert {**common, "first_name": "Ann", "last_name": "Lee"} == inputs.new_parcel(raw(PARCEL), v2.CODE)


@pytest.mark.parametrize("field", ["key", "recipient_name", "address"])
def test_a_new_parcel_without_one_of_its_fields_is_refused(field: str) -> None:
    body = {name: value for name, value in PARCEL.items() if name != field}

    with pytest.raises(BadInputError):
        inputs.new_parcel(raw(body), v1.CODE)
    with pytest.raises(BadInputError):
        inputs.new_parcel(raw(body), v2.CODE)


@pytest.mark.parametrize("value", [None, 1, "", "  ", "x" * 501, "nul\0", "\ud800", ["Ann"]])
def test_text_that_cannot_be_stored_is_refused_by_name(value: object) -> None:
    with pytest.raises(BadInputError, match="address"):
        inputs.new_parcel(raw({**PARCEL, "address": value}), v1.CODE)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadInputError, match="JSON object"):
        inputs.new_parcel(body, v1.CODE)


def test_a_person_may_have_one_name_only() -> None:
    body = {"key": "k", "address": "a", "first_name": "Cher", "last_name": ""}

    assert inputs.new_parcel(raw(body), v2.CODE)["last_name"] == ""
    with pytest.raises(BadInputError, match="first_name"):
        inputs.new_parcel(raw({**body, "first_name": ""}), v2.CODE)


def test_a_change_leaves_what_it_does_not_name() -> None:
    columns = inputs.changes(raw({"status": "sent"}), v2.CODE)

    assert columns == {"address": None, "status": "sent", "first_name": None, "last_name": None}


def test_a_change_of_nothing_that_the_version_knows_is_refused() -> None:
    with pytest.raises(BadInputError, match="needs any of recipient_name, address, status"):
        inputs.changes(raw({"first_name": "Ann"}), v1.CODE)


@pytest.mark.parametrize(
    "query",
    [{"after": "-1"}, {"after": "x"}, {"after": "9" * 19}, {"limit": "0"}, {"limit": "201"}, {"limit": "\u0665"}],
)
def test_a_page_that_cannot_be_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match=next(iter(query))):
        inputs.page(query)


@pytest.mark.parametrize("text", ["", "x", "-1", "30.1", "nan", "inf"])
def test_seconds_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="seconds"):
        inputs.seconds({"seconds": text})
