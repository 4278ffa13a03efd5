"""The tutorial is run as it stands: a change from base to contracted, under traffic, broken once and mended."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tutorial
from tests.e2e.conftest import ROOT, LabCommand

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]
PAGE = ROOT / "docs/tutorial/expand-contract.md"


def test_what_the_tutorial_says_is_what_happens(new_lab: Callable[[str], LabCommand]) -> None:
    lab = new_lab("tutorial")
    environ = {**os.environ, "LAB_PROJECT": lab.project, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    page = PAGE.read_text()
    outputs = []
    for step in tutorial.steps_of(page):
        said = tutorial.run(step, at=ROOT, environ=environ).replace(lab.project, "tutorial")
        outputs.append(said)
        if not tutorial.updating():
            assert tutorial.fits(said, step.output), f"{step.commands}\nsaid:\n{said}\nthe page:\n{step.output}"
    assert len(outputs) == page.count("```sh")
    if tutorial.updating():
        PAGE.write_text(tutorial.written_anew(page, outputs))
