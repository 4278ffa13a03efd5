"""The lab as a test fixture: `lab` and `lab_module`, the marker `lab(..)`, and options that begin with --lab-.

Imports nothing else of the lab before a test asks for one: it is in every pytest run of an environment that has the lab
in it. docs/how-to/pytest.md.
"""

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab.testing.factory import Factory
    from lab.testing.under_test import LabUnderTest

KEEP = ("never", "failed", "always")
MARK = (
    "lab(replicas=3, version='v1', schema='base', rate=100, slow='700ms', min_requests=500, file=.., service=.., "
    "readiness=.., app_port=.., paths=..): how `lab` and `lab_module` start a lab, and what each roll of it offers"
)
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("lab", "a lab of containers for each test").addoption
    add("--lab-require", action="store_true", help="fail, do not skip, where there is no Docker engine")
    add("--lab-keep", choices=KEEP, default="never", help="leave labs running after a test (default: never)")
    add("--lab-artifacts", metavar="DIR", help="copy verdict, report, ledgers and logs of each run here")
    add("--lab-rate", metavar="N", type=float, help="requests a second, where no marker says how many")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a fixture needs to know at its end: whether a test that had it failed."""
    report = yield
    if report.failed:
        for node in item.listchain():
            node.stash[_failed] = True
    return report


def has_failed(node: pytest.Item | pytest.Collector) -> bool:
    """Whether the test did, or one of the module's."""
    return node.stash.get(_failed, False)


@pytest.fixture(scope="session")
def lab_factory(request: pytest.FixtureRequest) -> "Factory":
    """Makes labs. Skips where there is no Docker engine, or fails with --lab-require."""
    from lab.testing.factory import Factory

    factory = Factory(worker=os.environ.get("PYTEST_XDIST_WORKER", ""))
    if why := factory.missing():
        (pytest.fail if request.config.option.lab_require else pytest.skip)(f"no lab here: {why}")
    factory.tidy()
    return factory


@pytest.fixture
def lab(request: pytest.FixtureRequest, lab_factory: "Factory") -> "Iterator[LabUnderTest]":
    """A lab of this test's own, up as its marker says; gone with everything of it after the test."""
    yield from _lab(request, lab_factory)


@pytest.fixture(scope="module")
def lab_module(request: pytest.FixtureRequest, lab_factory: "Factory") -> "Iterator[LabUnderTest]":
    """One lab for all tests of a module: each finds it as the one before has left it."""
    yield from _lab(request, lab_factory)


def _lab(request: pytest.FixtureRequest, factory: "Factory") -> "Iterator[LabUnderTest]":
    marker = request.node.get_closest_marker("lab")
    made = factory.make(marker.kwargs if marker else {}, rate=request.config.option.lab_rate)
    came_up = False
    try:
        made.up(*made.wanted.start())
        came_up = True
        yield made
    finally:
        _end(request, factory, made, failed=not came_up or has_failed(request.node))


def _end(request: pytest.FixtureRequest, factory: "Factory", made: "LabUnderTest", *, failed: bool) -> None:
    options = request.config.option
    if options.lab_artifacts:
        factory.keep_artifacts(made, Path(options.lab_artifacts), request.node.nodeid)
    if options.lab_keep == "always" or (options.lab_keep == "failed" and failed):
        factory.keep(made)
        said = f"the lab {made.project} is kept: lab status, or lab down, --project {made.project}"
        request.config.get_terminal_writer().line(f"\n{said}")
    else:
        made.destroy(keep_runs=failed)
