"""A run in which nothing was rolled, in every format: one version, watched under traffic."""

from dataclasses import replace

import pytest

from lab.ports import Event
from lab.proof import Command, Outcome, read_client
from lab.report import (
    Report,
    render_html,
    render_junit,
    render_markdown,
    render_report_json,
    render_text,
    report_of,
)
from tests.unit.proof_world import START, Story, Try, good, ledger, tell

EVENTS = [
    Event(seq=1, type="run-started", run="r1", t_ns=START - 10**9, wall="2026-01-02T03:04:05", data={"seconds": 10.0}),
    Event(seq=2, type="load-started", run="r1", t_ns=START, wall="", data={"rate": 100.0, "replicas": 3, "seed": 4}),
]


@pytest.fixture(params=["clean", "dropping"])
def report(request: pytest.FixtureRequest) -> Report:
    stories = [good() for _ in range(20)]
    if request.param == "dropping":
        stories.append(Story(outcome="reset", tries=(Try(result="closed_before_response", answered=False),)))
    world = tell(
        *stories, at=START, command=Command.LOAD, rollout=Outcome.NONE, from_version="v1", to_version="v1", steps=()
    )
    return report_of(world.verdict(), read_client(ledger(world.client)), EVENTS)


def test_it_is_told_in_every_format_and_by_the_command_that_does_it_again(report: Report) -> None:
    assert report.command == "lab load run --duration 10s --seed 4"
    assert " v1 watched for 10.0s - " in render_text(report.verdict)
    for render in (render_html, render_junit, render_markdown, render_report_json):
        assert "lab load run --duration 10s --seed 4" in render(report)
    assert [second.offered for second in report.timeline.seconds if second.offered] == [report.verdict.offered]
    assert report.timeline.seconds[0].offered, "its first second is the load's first"
    assert (report.timeline.waves, report.verdict.comparison) == ((), None)


def test_what_is_dropped_with_nothing_going_on_says_so(report: Report) -> None:
    lines = render_text(replace(report.verdict)).splitlines()
    told = [line for line in lines if line.startswith("    controller: ")]
    assert told == ["    controller: nothing under way"] * len(report.stories)
