"""Conformance: the controller decides a recorded rollout again, from what it saw; its journal must be the same.

Nothing is simulated here but the world's answers: they are the recorded ones, each given when it was given then.
"""

import asyncio
import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.controller import Controller, Ended, Rollout, World
from lab.model import Revision
from lab.ports import Event, Readiness
from lab.sim.replayed import Ears, Eyes, Hands, Scales, Tape
from lab.spec_codec import spec_from_json

_ITS_OWN = frozenset(
    {"act-intended", "act-done", "phase-changed", "try-failed", "version-failed", "turned-back"}
    | {"replica-died", "looked-away", "asked", "scaled", "refused"}
)
_ENDS = frozenset({"rollout-ended", "rollout-paused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the journal has at that number, and what was decided now. None: nothing."""

    seq: int
    recorded: Mapping[str, Any] | None
    decided: Mapping[str, Any] | None

    def __str__(self) -> str:
        return f"record {self.seq}: the journal has {self.recorded}, decided now {self.decided}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """`decided`: records that were decided again, and are the same. `differences`: one at most for each beginning."""

    beginnings: int
    looks: int
    decided: int
    differences: tuple[Difference, ...]


def replay(events: Sequence[Event], lines: Iterable[str]) -> Replayed:
    """`events`: the whole journal, oldest first. `lines`: what was recorded of one run (lab/recording.py)."""
    parts = _parts(lines)
    decided, found = 0, []
    for number, part in enumerate(parts):
        until = parts[number + 1].after if number + 1 < len(parts) else None
        tape, end = _tape(part, events, until)
        difference = asyncio.run(_decide_again(part, tape, end))
        decided += tape.at
        found += [difference] if difference else []
    looks = sum(len(part.looks) for part in parts)
    return Replayed(beginnings=len(parts), looks=looks, decided=decided, differences=tuple(found))


@dataclass(slots=True, kw_only=True)
class _Part:
    """What was recorded from one beginning to the next; the controller was killed or paused in between."""

    about: dict[str, Any]
    looks: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    counted: dict[int, list[int]] = field(default_factory=dict)
    felt: dict[int, dict[str, Any]] = field(default_factory=dict)
    heard: dict[int, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def after(self) -> int:
        return int(self.about["after"])

    def add(self, line: dict[str, Any]) -> None:
        if "failed" in line:
            self.failed.append({**line, "looks": len(self.looks)})
        elif "counted" in line:
            self.counted[line["call"]] = line["counted"]
        elif "felt" in line:
            self.felt[line["call"]] = line["felt"]
        elif "heard" in line:
            self.heard[line["call"]] = line["heard"]
        else:
            self.looks.append({**line, "failures": len(self.failed)})


def _parts(lines: Iterable[str]) -> list[_Part]:
    """A last line that a kill cut short is none."""
    parts: list[_Part] = []
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if "begin" in line:
            parts.append(_Part(about=line))
        elif parts:
            parts[-1].add(line)
    return parts


def _tape(part: _Part, events: Sequence[Event], until: int | None) -> tuple[Tape, Event | None]:
    run, after = part.about["run"], part.after
    its = [e for e in events if e.run == run and e.seq > after and (until is None or e.seq <= until)]
    recorded = [e for e in its if e.type in _ITS_OWN]
    told = [look["after"] for look in part.looks]
    tape = Tape(
        before=[e for e in events if e.seq <= after],
        recorded=recorded,
        looks_before=[bisect_left(told, e.seq) for e in recorded],
        failed=part.failed,
        now=part.about["begin"],
    )
    return tape, next((e for e in its if e.type in _ENDS), None)


async def _decide_again(part: _Part, tape: Tape, end: Event | None) -> Difference | None:
    try:
        ended = await Controller(_world(part, tape), _rollout(part)).run()
    except Tape.Over as over:
        if over.decided and end:
            return Difference(seq=end.seq, recorded=None, decided=over.decided)
        return _left(tape)
    except Tape.Differs as differs:
        return Difference(seq=differs.seq, recorded=differs.recorded, decided=differs.decided)
    except RuntimeError as illegal:  # the table of lifecycles refuses it
        return Difference(seq=tape.seq, recorded=tape.next_one, decided={"illegal": str(illegal)})
    return _left(tape) or _other_end(ended, end)


def _left(tape: Tape) -> Difference | None:
    """What was recorded and is not decided again."""
    return Difference(seq=tape.seq, recorded=tape.next_one, decided=None) if tape.next_one else None


def _other_end(ended: Ended, end: Event | None) -> Difference | None:
    """A run that was killed after its last record has no end there."""
    if end is None:
        return None
    decided = {"ending": ended.ending.value, "reason": ended.reason, "where": ended.where}
    recorded = {key: end.data[key] for key in decided}
    return Difference(seq=end.seq, recorded=recorded, decided=decided) if recorded != decided else None


def _world(part: _Part, tape: Tape) -> World:
    hands = Hands(tape)
    return World(
        engine=hands,
        gateway=hands,
        watch=tape,
        clock=tape,
        journal=tape,
        observer=Eyes(tape, part.looks, hands.names),
        traffic=Scales(part.counted, part.felt),
        inbox=Ears(part.heard),
        instant=part.about["instant"],
    )


def _rollout(part: _Part) -> Rollout:
    about = part.about
    named = {int(number): version for number, version in about["versions"].items()}
    return Rollout(
        run=about["run"],
        service=about["service"],
        spec=spec_from_json(about["spec"]),
        back_to=about["back_to"],
        revisions={n: Revision(number=n, version=v, serves_as=v, image_id="", spec="") for n, v in named.items()},
        readiness=Readiness(),
        earlier=tuple(about["earlier"]),
        linger=about["linger"],
    )
