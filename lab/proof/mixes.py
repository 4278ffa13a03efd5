"""What the versions of a roll did to each other's data, by pair: whose write it was, and who read it."""

from collections import Counter
from dataclasses import dataclass, field

from lab.proof.advice import BROWSER, PAGES, advice, promised
from lab.proof.drops import Fleet, version_of
from lab.proof.join import Joined
from lab.proof.records import ClientEnd, ClientOutcome, Fault, Mixed, RunFacts
from lab.proof.result import Mix, Pair
from lab.proof.steps import phase_at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    fault: Fault
    writer: str | None
    reader: str
    phase: str
    code: str | None
    page: bool


@dataclass(slots=True)
class _Met:
    count: int
    since: int
    until: int
    example: str
    field: str | None
    detail: str


@dataclass(slots=True)
class MixCount:
    """Fed with every request, whatever became of it."""

    facts: RunFacts
    fleet: Fleet
    read: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: Counter[tuple[str, str]] = field(default_factory=Counter)
    met: dict[_Key, _Met] = field(default_factory=dict)

    def take(self, joined: Joined) -> None:
        end = joined.end
        if end is None or end.mixed is None:
            return
        mixed, reader = end.mixed, end.version or version_of(joined, self.fleet)
        if reader is None or (mixed.fault is None and end.outcome is not ClientOutcome.OK):
            return
        if mixed.writer is not None:
            self.read[mixed.writer, reader] += 1
        if mixed.fault is not None:
            self._fault(joined, end, mixed, mixed.fault, reader)

    def _fault(self, joined: Joined, end: ClientEnd, mixed: Mixed, fault: Fault, reader: str) -> None:
        if mixed.writer is not None:
            self.wrong[mixed.writer, reader] += 1
        key = _Key(
            fault=fault,
            writer=mixed.writer,
            reader=reader,
            phase=phase_at(self.facts, end.t),
            code=joined.sql_error.code if joined.sql_error else (end.error or "").partition(" ")[0] or None,
            page=joined.offer.cohort == BROWSER,
        )
        told = joined.sql_error.message if joined.sql_error else end.error or end.detail or ""
        met = self.met.setdefault(key, _Met(0, end.t, end.t, joined.id, mixed.field, told))
        met.count += 1
        if end.t < met.since:
            met.since, met.example, met.field, met.detail = end.t, joined.id, mixed.field, told
        met.until = max(met.until, end.t)

    def pairs(self) -> tuple[Pair, ...]:
        return tuple(
            Pair(writer=writer, reader=reader, read=read, wrong=self.wrong[writer, reader])
            for (writer, reader), read in sorted(self.read.items())
        )

    def mixes(self) -> tuple[Mix, ...]:
        """The most frequent first."""
        found = sorted(self.met.items(), key=lambda item: (-item[1].count, item[1].since))
        return tuple(self._mix(key, met) for key, met in found)

    def _mix(self, key: _Key, met: _Met) -> Mix:
        versions = [version for version in (key.writer, key.reader) if version is not None]
        return Mix(
            fault=key.fault,
            writer=key.writer,
            reader=key.reader,
            phase=key.phase,
            count=met.count,
            since_s=self.facts.seconds(met.since),
            until_s=self.facts.seconds(met.until),
            field=met.field,
            detail=met.detail,
            example=met.example,
            code=key.code,
            promised=None if key.page else promised(self.facts, versions, key.phase),
            fix=PAGES if key.page else advice(self.facts, versions, key.phase),
        )
