"""Other sizes of fleet, a schema that does not fit, and two labs side by side."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, LabCommand, assert_clean

pytestmark = pytest.mark.docker


def test_one_replica_is_replaced_in_either_order_without_a_drop(new_lab: Callable[[str], LabCommand]) -> None:
    lab = new_lab("e2e-one")
    lab.up("--replicas", "1")

    assert_clean(lab.roll("roll", "v2", "--order", "start-first"))
    # the proxy holds what comes while there is none
    assert_clean(lab.roll("roll", "v1", "--order", "stop-first"))


def test_a_batch_of_two_is_replaced_together_without_a_drop(new_lab: Callable[[str], LabCommand]) -> None:
    lab = new_lab("e2e-batch")
    lab.up("--replicas", "4")

    assert_clean(lab.roll("roll", "v2", "--batch", "2"))


def test_a_version_that_the_schema_does_not_serve_is_refused_and_with_anyway_is_shown_to_break(
    new_lab: Callable[[str], LabCommand],
) -> None:
    lab = new_lab("e2e-schema")
    lab.up("--replicas", "2", "--schema", "base")

    refused = lab("roll", "v2", "--schema", "as-is")
    assert refused.exit_code == 3
    assert "lab migrate expand" in refused.err

    verdict = lab.roll("roll", "v2", "--schema", "as-is", "--anyway")
    assert verdict["exit_code"] == 1
    assert {(b["version"], b["phase"], b["code"]) for b in verdict["schema_breakages"]} == {("v2", "base", "42703")}
    assert all("first_name" in b["message"] for b in verdict["schema_breakages"])
    assert sum(b["count"] for b in verdict["schema_breakages"]) == verdict["dropped"]


def test_two_labs_side_by_side_do_not_touch_each_other(new_lab: Callable[[str], LabCommand], tmp_path: Path) -> None:
    rolled, other = new_lab("e2e-left"), new_lab("e2e-right")
    rolled.up("--replicas", "1")
    url = other.up("--replicas", "2", "--json").json["url"]
    before = other.containers
    argv = [sys.executable, "-m", "loadtest", "--target", url, "--run", "side", "--rate", "30"]
    with subprocess.Popen(
        [*argv, "--runs-dir", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as load:
        assert load.stdout is not None
        assert any(b'"started"' in line for line in load.stdout)

        assert_clean(rolled.roll("roll", "v2"))
        assert rolled("down").exit_code == 0

        load.terminate()
        assert load.wait(timeout=60) == 0
    assert other.containers == before
    lines = [json.loads(line) for line in (tmp_path / "side" / "client.jsonl").read_text().splitlines()]
    outcomes = [line["outcome"] for line in lines if line["e"] == "end"]
    assert len(outcomes) > 100
    assert set(outcomes) == {"ok"}
    assert lines[-1]["complete"]
