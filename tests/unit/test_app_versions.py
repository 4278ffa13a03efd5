"""The versions of the change scenarios: data that says what is different from V1."""

import pytest

from lab.migrate import read_plan
from sample_app import v1, v2
from sample_app.app_code import Cursor, Driver
from sample_app.inputs import BadInputError, cursor, new_parcel, page
from sample_app.settings import SettingsError
from sample_app.versions import SCENARIOS, UnknownValueError, code_of, read_code

PLANS = sorted(SCENARIOS.glob("*/*/plan.toml"))


@pytest.mark.parametrize("file", PLANS, ids=lambda file: "-".join(file.parts[-3:-1]))
def test_every_scenario_has_a_plan_and_the_code_of_each_version_that_it_serves(file) -> None:  # type: ignore[no-untyped-def]
    plan = read_plan(file)
    change, form = file.parts[-3:-1]

    assert any(set(plan.versions) <= phase.serves for phase in plan.phases), "nobody could roll on it"
    for version in plan.versions:
        code = code_of(version if version in {"v1", "v2"} else f"{change}/{form}/{version}")
        assert code.name == version, "the lease is taken for the name that the plan knows"


def test_what_a_version_does_not_say_is_as_in_v1() -> None:
    code = read_code("new", '[statements]\nby_id = "select 1"')

    assert (code.name, code.by_id) == ("new", "select 1")
    assert (code.insert, code.page, code.recipient_fields) == (v1.CODE.insert, v1.CODE.page, v1.CODE.recipient_fields)
    assert (code.cursor, code.driver) == (Cursor.ID, Driver(prepare=False, autocommit=True))
    assert code.parcel({"id": 1, "street": "x"}) == {"id": 1, "street": "x"}


def test_a_version_says_which_fields_its_answers_have() -> None:
    assert read_code("old", "").answers == dict.fromkeys(v1.CODE.columns, "string") | {"id": "integer"}
    other = read_code("new", '[answers]\naddress = "none"\nstreet = "object"').answers
    assert (other.keys() ^ set(v1.CODE.columns), other["street"]) == ({"address", "street"}, "object")


def test_a_version_may_be_told_by_its_text_alone() -> None:
    code = code_of("mine", '[statements]\nby_id = "select 2"')

    assert (code.name, code.by_id, code.page) == ("mine", "select 2", v1.CODE.page)
    with pytest.raises(SettingsError, match="APP_CODE_TEXT cannot be used: nonsense means nothing here"):
        code_of("mine", "nonsense = 1")


def test_the_sample_apps_own_versions_have_their_names() -> None:
    assert (code_of("v1"), code_of("v2")) == (v1.CODE, v2.CODE)


@pytest.mark.parametrize(
    "name", ["v3", "", "rename-column/naive/none", "../naive/new", "rename-column/naive", "a/b/c/d"]
)
def test_a_version_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(SettingsError, match="it may be v1, v2 or CHANGE/FORM/VERSION"):
        code_of(name)


@pytest.mark.parametrize(
    "text", ["statement = 1", '[statements]\nbyid = ""', 'cursor = "page"', "[driver]\nfast = true"]
)
def test_a_key_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        read_code("new", text)


def test_a_value_that_the_code_was_not_told_of_is_more_than_it_can_handle() -> None:
    code = read_code("old", '[knows]\nstatus = ["registered"]')

    assert code.parcel({"status": "registered"}) == {"status": "registered"}
    with pytest.raises(UnknownValueError, match="status is 'accepted'"):
        code.parcel({"status": "accepted"})


def test_a_field_that_does_not_match_is_refused() -> None:
    code = read_code("new", "[takes]\naddress = '^[0-9]{3} '")
    body = '{"key": "k", "recipient_name": "A", "address": "%s"}'

    assert new_parcel((body % "100 Street").encode(), code)["address"] == "100 Street"
    with pytest.raises(BadInputError, match="address must match"):
        new_parcel((body % "7 Street").encode(), code)


def test_each_kind_of_cursor_takes_its_own_and_only_both_takes_the_others() -> None:
    for kind in Cursor:
        assert page({"after": str(cursor(7, kind))}, kind).after == 7
        assert page({}, kind).after == 0
    assert page({"after": "c-7"}, Cursor.BOTH).after == 7
    for strange, kind in (("c-7", Cursor.ID), ("7", Cursor.OPAQUE), ("c-x", Cursor.BOTH)):
        with pytest.raises(BadInputError):
            page({"after": strange}, kind)
