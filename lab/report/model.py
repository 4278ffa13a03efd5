"""All that a report of one run tells, whatever the format: every renderer takes its figures from here."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.ports import Event
from lab.proof.records import ClientLedger
from lab.proof.result import Verdict
from lab.report.settings import Setting, command_of, settings_of
from lab.report.story import Story, stories_of
from lab.report.timeline import Timeline, timeline_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many of all answers a version gave."""

    version: str
    answers: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`wall`: when the run began, as the controller's calendar says; empty where its journal is not there."""

    verdict: Verdict
    timeline: Timeline
    stories: tuple[Story, ...]
    shares: tuple[Share, ...]
    settings: tuple[Setting, ...]
    command: str
    wall: str


def report_of(verdict: Verdict, client: ClientLedger | None, events: Sequence[Event]) -> Report:
    return Report(
        verdict=verdict,
        timeline=timeline_of(verdict, client, events),
        stories=stories_of(verdict.drops),
        shares=_shares(verdict),
        settings=settings_of(events),
        command=command_of(verdict.run, events),
        wall=events[0].wall[:19].replace("T", " ") if events else "",
    )


def _shares(verdict: Verdict) -> tuple[Share, ...]:
    total = sum(verdict.versions.values())
    return tuple(
        Share(version=version, answers=answers, share=round(answers / total, 4))
        for version, answers in verdict.versions.items()
    )
