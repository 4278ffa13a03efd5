"""One list of faults: the app's words, the manifest's versions and the page that says what they do."""

import re
from pathlib import Path

from lab.manifest import read_manifest
from sample_app.faults import Fault
from sample_app.faults.chosen import FIGURES

ROOT = Path(__file__).parents[2]


def test_every_fault_is_a_version_of_the_manifest_named_after_it() -> None:
    versions = read_manifest(ROOT / "compose/lab.yaml").versions

    for fault in Fault:
        assert versions[f"v2-{fault}"].environment == {"APP_CODE": "v2", "APP_FAULTS": fault.value}
        assert versions[f"v2-{fault}"].serves_as == "v2"


def test_the_page_has_every_fault_with_its_figure() -> None:
    page = (ROOT / "docs/reference/wire.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| ([\d.]*)[^|]*\| [^|]+ \|$", page.partition("| fault |")[2], re.MULTILINE)

    assert {name: float(figure or 0) for name, figure in rows} == {fault: FIGURES.get(fault, 0) for fault in Fault}
