"""All that a report of one run tells, whatever the format: every renderer takes its figures from here."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.ports import Event
from lab.proof.records import ClientLedger
from lab.proof.result import CODES, Class, Drop, Verdict
from lab.report.settings import Setting, command_of, settings_of
from lab.report.timeline import Timeline, timeline_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The drops of one class, and the first of them in full."""

    cls: Class
    code: str
    count: int
    first: Drop


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


def stories_of(drops: Sequence[Drop]) -> tuple[Story, ...]:
    """The most frequent first."""
    by_class: dict[Class, list[Drop]] = {}
    for drop in drops:
        by_class.setdefault(drop.cls, []).append(drop)
    return tuple(
        Story(cls=cls, code=CODES[cls], count=len(found), first=found[0])
        for cls, found in sorted(by_class.items(), key=lambda item: -len(item[1]))
    )


def _shares(verdict: Verdict) -> tuple[Share, ...]:
    total = sum(verdict.versions.values())
    return tuple(
        Share(version=version, answers=answers, share=round(answers / total, 4))
        for version, answers in verdict.versions.items()
    )
