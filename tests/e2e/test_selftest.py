"""The self-test on real containers: every harm is found exactly, and nothing of it is left."""

import json

import jsonschema
import pytest

from tests.e2e.conftest import ROOT, LabCommand

pytestmark = pytest.mark.docker

HARMED = {
    "no roll": {None},
    "a proxy that cuts every 7th answer": {"truncated"},
    "an app that loses writes": {"lost_write"},
    "an app that writes twice": {"duplicate"},
}


def test_every_harm_is_found_in_its_class_to_the_last_request_and_no_lab_is_left() -> None:
    lab = LabCommand("e2e-self")

    done = lab("selftest", "--json")

    assert done.exit_code == 0, done.out + done.err
    jsonschema.validate(done.json, json.loads((ROOT / "docs/reference/schemas/selftest.schema.json").read_text()))
    found: dict[str, set[str | None]] = {}
    for row in done.json["rows"]:
        found.setdefault(row["control"], set()).add(row["class"])
        assert row["expected"] == row["found"], row
        assert row["expected"] > 0 or row["control"] == "no roll"
    assert HARMED.items() <= found.items()
    assert found["drain off"] & {"server_error", "truncated"}
    assert "truncated" in found["SIGKILL of a replica"]
    assert LabCommand("e2e-self-selftest").leftovers() == lab.leftovers() == []
