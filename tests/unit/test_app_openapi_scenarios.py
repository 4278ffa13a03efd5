"""The scenarios that no schema sees: what their versions say of their API tells the naive form from the safe one."""

import pytest

from lab.compat.apidiff import api_changes
from lab.compat.model import ApiChange
from sample_app.openapi import document
from sample_app.versions import code_of

WIRE = {
    "remove-json-field": "address",
    "change-json-type": "address",
    "tighten-validation": "address",
    "change-paging": "after",
}


def broken(name: str, form: str) -> list[ApiChange]:
    """What clients of either version cannot bear at servers of the other."""
    old, new = (document(code_of(f"{name}/{form}/{version}")) for version in ("old", "new"))
    return [change for pair in ((old, new), (new, old)) for change in api_changes(*pair) if change.breaking]


@pytest.mark.parametrize("name", WIRE)
def test_the_naive_form_breaks_a_client_by_its_own_description(name: str) -> None:
    assert any(WIRE[name] in f"{change.where} {change.what}" for change in broken(name, "naive"))


@pytest.mark.parametrize("name", WIRE)
def test_the_safe_form_breaks_none_in_either_direction(name: str) -> None:
    assert broken(name, "safe") == []
