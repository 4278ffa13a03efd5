"""One model, five formats. LAB_UPDATE_GOLDEN=1 writes the golden files anew: read the diff."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from lab.ports import Event
from lab.proof import Failure, Outcome, Reason, Verdict, VerdictOutcome, judge, verdict_from_json
from lab.proof.result import Loss
from lab.report import (
    Report,
    render_compared,
    render_html,
    render_junit,
    render_markdown,
    render_report_json,
    render_runs,
    report_of,
    runs_to_json,
)
from lab.report.style import CSS
from lab.report.timeline import NO_VERSION, Moment, Ready, Wave, _waves
from tests.golden_files import check
from tests.unit.proof_world import facts
from tests.unit.report_verdicts import schema_breakage, stale
from tests.unit.report_world import events, verdict_and_report

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"


def clean() -> Report:
    return verdict_and_report()[1]


def dropping() -> Report:
    return verdict_and_report(drops=True)[1]


def in_doubt() -> Report:
    """Everything that can stand in a report and in no clean one."""
    verdict, report = verdict_and_report()
    failure = Failure(what="app-2.2 not ready for 30s", where="wave 2", log=("a <b>", "c"), fix="lab logs app-2.2")
    run = replace(verdict.run, rollout=Outcome.ROLLED_BACK, reason="v2 never became ready", failure=failure)
    reasons = (Reason(id="not-sent", message="the load could not send all (9 not sent)", fix="offer less: --rate"),)
    loss = Loss(
        replica="app-1.2", version="v2", when_s=2.0, exit_code=137, oom=True, expected=False, dropped_by_class={}
    )
    told = replace(
        verdict,
        outcome=VerdictOutcome.INCONCLUSIVE,
        exit_code=1,
        run=run,
        reasons=reasons,
        notes=("a note",),
        deaths=(loss,),
        cut=3,
    )
    return replace(report, verdict=told)


def mixed() -> Report:
    """What versions and schema did to each other."""
    verdict, report = verdict_and_report(drops=True)
    told = stale()
    breakages = schema_breakage().schema_breakages
    return replace(report, verdict=replace(verdict, mixes=told.mixes, pairs=told.pairs, schema_breakages=breakages))


def unmeasured() -> Report:
    return report_of(judge(facts(), None, None, ()), None, events())


def bare() -> Report:
    """An old run: nothing but its verdict."""
    return report_of(judge(facts(), None, None, ()), None, ())


REPORTS: dict[str, Callable[[], Report]] = {
    made.__name__: made for made in (clean, dropping, in_doubt, mixed, unmeasured, bare)
}


@pytest.mark.parametrize("name", REPORTS)
def test_markdown_reads_as_its_golden_file(name: str) -> None:
    check(f"report/md_{name}", render_markdown(REPORTS[name]()))


@pytest.mark.parametrize("name", REPORTS)
def test_junit_reads_as_its_golden_file(name: str) -> None:
    check(f"report/junit_{name}", render_junit(REPORTS[name]()))


@pytest.mark.parametrize("name", REPORTS)
def test_html_reads_as_its_golden_file(name: str) -> None:
    check(f"report/html_{name}", render_html(REPORTS[name]()).replace(CSS, ""))


@pytest.mark.parametrize("name", REPORTS)
def test_json_is_the_verdict_and_the_report_beside_it(name: str) -> None:
    report = REPORTS[name]()
    told = json.loads(render_report_json(report))
    assert verdict_from_json(told) == report.verdict
    for schema, part in (("verdict", told), ("report", told["report"])):
        schema_of = json.loads((SCHEMAS / f"{schema}.schema.json").read_text())
        jsonschema.Draft202012Validator(schema_of).validate(part)
    assert set(told["report"]) == set(schema_of["required"]) == set(schema_of["properties"])


# the timeline


def test_every_request_is_in_the_second_it_was_due_in() -> None:
    seconds = dropping().timeline.seconds
    assert [second.at for second in seconds] == list(range(-2, 9))
    assert {second.offered for second in seconds} == {50}
    assert [(s.at, s.dropped) for s in seconds if s.dropped] == [(2, 2)]
    assert seconds[4].answered == {"v1": 23, "v2": 25, NO_VERSION: 1}


def test_requests_that_last_on_purpose_lengthen_no_percentile() -> None:
    assert {second.p99_ms for second in clean().timeline.seconds} == {12.0}


def test_replicas_are_counted_from_admission_to_retirement() -> None:
    assert clean().timeline.ready == (
        Ready(at_s=-2.0, replicas={"v1": 2}),
        Ready(at_s=2.0, replicas={"v1": 2, "v2": 1}),
        Ready(at_s=2.2, replicas={"v1": 1, "v2": 1}),
        Ready(at_s=5.0, replicas={"v1": 1, "v2": 2}),
        Ready(at_s=5.2, replicas={"v2": 2}),
    )


def test_a_wave_begins_where_its_first_replica_is_admitted() -> None:
    assert clean().timeline.waves == (Wave(number=1, at_s=1.9, slots=(1,)), Wave(number=2, at_s=4.9, slots=(2,)))


def course(*acts: tuple[str, int], **spec: Any) -> tuple[tuple[int, ...], ...]:
    """The slots of each wave, of a rollout that did so."""
    told: list[tuple[str, dict[str, Any]]] = [("rollout-started", {"replicas": 4, "spec": {"replicas": 4, **spec}})]
    for verb, slot in acts:
        told.append(("turned-back" if verb == "back" else "act-intended", {"verb": verb, "slot": slot}))
        told[-1][1].update(replica=f"app-{slot}.2", version="v1")
    happened = [Event(seq=n, type=type, run="r1", t_ns=n, wall="", data=data) for n, (type, data) in enumerate(told)]
    return tuple(wave.slots for wave in _waves(happened, 0))


def test_slots_of_a_batch_are_one_wave_and_what_is_turned_back_is_another() -> None:
    forth = [("create", 1), ("create", 2), ("create", 3), ("admit", 1), ("retire", 1), ("admit", 2), ("retire", 2)]
    assert course(*forth, surge=1) == ((1,), (2,))
    assert course(*forth, ("admit", 3), surge=2) == ((1, 2), (3,))
    assert course(("retire", 1), ("admit", 1), ("retire", 2), surge=0, unavailable=1) == ((1,), (2,))
    assert course(("retire", 1), ("retire", 2), ("retire", 3), ("admit", 1), strategy="recreate") == ((1, 2, 3),)
    assert course(*forth, ("back", 0), ("admit", 2), ("retire", 2), surge=2) == ((1, 2), (2,))


def test_the_whole_command_that_made_the_run_is_told() -> None:
    assert clean().command == "lab roll v2 --bake 2s --gate error-ratio=5% --rate 150"
    origins = {setting.name: setting.origin for setting in clean().settings}
    assert (origins["surge"], origins["rate"]) == ("default", "flag, environment or manifest")


# what was written by others


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


EVIL = "</code></td><script>alert(1)</script><img src=x onerror=alert(1)> | `x` \x1b[31m \ud800 ]]>"


def poisoned() -> Report:
    verdict, report = verdict_and_report(drops=True)
    drop = replace(verdict.drops[0], detail=EVIL, path=EVIL, replica=EVIL, step=EVIL)
    run = replace(verdict.run, reason=EVIL, to_version=EVIL, failure=Failure(what=EVIL, log=(EVIL,)))
    told = replace(verdict, drops=(drop,), run=run, notes=(EVIL,), reasons=(Reason(id="x", message=EVIL, fix=EVIL),))
    mix = replace(stale().mixes[0], reader=EVIL, writer=EVIL, detail=EVIL, fix=EVIL)
    breakage = replace(schema_breakage().schema_breakages[0], message=EVIL, statement=EVIL, fix=EVIL, version=EVIL)
    pair = replace(stale().pairs[0], reader=EVIL, writer=EVIL)
    told = replace(told, mixes=(mix,), pairs=(pair,), schema_breakages=(breakage,))
    story = replace(report.stories[0], first=drop)
    seconds = tuple(replace(second, answered={EVIL: 50}) for second in report.timeline.seconds)
    timeline = replace(report.timeline, seconds=seconds, moments=(Moment(at_s=1.0, what=EVIL),))
    return replace(report, verdict=told, timeline=timeline, stories=(story,), command=f"lab roll '{EVIL}'")


def test_nothing_that_an_app_wrote_becomes_markup_in_the_page() -> None:
    page = Tags(render_html(poisoned()))
    assert not {"script", "img"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)


def test_nothing_that_an_app_wrote_becomes_markup_in_markdown() -> None:
    outside = re.sub(r"```text.*?```|`[^`\n]*`", "", render_markdown(poisoned()), flags=re.DOTALL)
    assert outside.count("`") == 0
    assert "<script" not in outside
    assert "<img" not in outside


def test_junit_is_well_formed_whatever_an_app_wrote() -> None:
    root = ET.fromstring(render_junit(poisoned()).encode())
    assert [case.get("name") for case in root.iter("testcase")] == [
        "the rollout reached its goal",
        "no request was dropped",
    ]


@pytest.mark.parametrize(
    ("name", "counts"),
    [("clean", "000"), ("dropping", "100"), ("in_doubt", "110"), ("unmeasured", "001")],
)
def test_junit_counts_what_failed_what_is_in_doubt_and_what_was_not_measured(name: str, counts: str) -> None:
    root = ET.fromstring(render_junit(REPORTS[name]()).encode())
    assert "".join(root.get(kind, "") for kind in ("failures", "errors", "skipped")) == counts
    found = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert found["dropped"] == ("2" if name == "dropping" else "0")


def test_junit_has_the_faults_of_each_pair_as_properties() -> None:
    root = ET.fromstring(render_junit(mixed()).encode())
    found = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert (found["mix.stale.v2.v1.backfilled"], found["mix.null.unknown.v2.expanded"]) == ("41", "1")
    assert (found["read.v1.v1"], found["read.v2.v1"]) == ("412", "96")


# the page on its own


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_refers_to_nothing_outside_itself(name: str) -> None:
    page = render_html(REPORTS[name]())
    found = Tags(page)
    assert not {"script", "iframe", "object"} & set(found.tags)
    referring = {value for key, value in found.attributes if key in {"src", "href", "srcset", "action"}}
    assert referring == {"data:,"}
    assert "url(" not in page.replace("url(#hatch)", "")
    assert "@import" not in page


@pytest.mark.parametrize("name", REPORTS)
def test_every_picture_says_in_words_what_it_shows(name: str) -> None:
    page = render_html(REPORTS[name]())
    for picture in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert 'role="img"' in picture
        assert "<title>" in picture
        assert "<desc>" in picture


def test_versions_differ_by_more_than_their_colour() -> None:
    page = render_html(clean())
    assert page.count('fill="url(#hatch)"') >= 3, "the new version's areas, and its sign in the legend"


# several runs


def several() -> list[Verdict]:
    return [made().verdict for made in (clean, dropping, in_doubt, unmeasured)]


def test_runs_are_listed_in_a_line_each() -> None:
    check("report/runs", render_runs(several()))
    schema = json.loads((SCHEMAS / "runs.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(runs_to_json(several()))
    assert [run["outcome"] for run in runs_to_json(several())["runs"]] == [
        "pass",
        "fail",
        "inconclusive",
        "not-measured",
    ]
    assert render_runs([]) == "no runs\n"


def test_two_runs_stand_side_by_side_with_a_mark_where_they_differ() -> None:
    check("report/compared", render_compared(*several()[:2]))
