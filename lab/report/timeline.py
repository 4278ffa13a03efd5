"""A run second by second, from its ledgers and its journal. Time counts from the start of the roll."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.ports import Event
from lab.proof.latency import percentile_ms
from lab.proof.records import ClientLedger, ClientOutcome, Outcome
from lab.proof.result import Verdict

NO_VERSION = "none"
"""Answers that no version gave: the proxy's own."""
BEGINS = frozenset({"schema-step", "rollout-started"})
WATCHED = frozenset({"load-started"})
"""Where nothing is rolled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """What was due in this second, and what became of it. `ready`: replicas at its end, by version."""

    at: int
    offered: int
    answered: Mapping[str, int]
    p50_ms: float | None
    p99_ms: float | None
    dropped: int
    ready: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """From then on so many replicas of each version were given requests."""

    at_s: float
    replicas: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Slots that were replaced together."""

    number: int
    at_s: float
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What happened besides: a step of the schema, a death, a return of the proxy, a turn back."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """`seconds` is empty where there was no load."""

    seconds: tuple[Second, ...]
    ready: tuple[Ready, ...]
    waves: tuple[Wave, ...]
    moments: tuple[Moment, ...]


def timeline_of(verdict: Verdict, client: ClientLedger | None, events: Sequence[Event]) -> Timeline:
    named = ([event.t_ns for event in events if event.type in types] for types in (BEGINS, WATCHED))
    base = min(next((begins for begins in named if begins), [event.t_ns for event in events]), default=0)
    ready = _ready(verdict, events, base)
    return Timeline(
        seconds=() if client is None or not events else _seconds(verdict, client, ready, base),
        ready=ready,
        waves=_waves(events, base),
        moments=_moments(verdict, events, base),
    )


# requests


@dataclass(slots=True)
class _Sums:
    offered: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    took: list[int] = field(default_factory=list)
    dropped: int = 0


def _seconds(verdict: Verdict, client: ClientLedger, ready: Sequence[Ready], base: int) -> tuple[Second, ...]:
    sums: dict[int, _Sums] = {}
    dropped = {drop.id for drop in verdict.drops}
    untimed = frozenset(verdict.latency.excluded_cohorts)
    for request, offer, end in client.requests.told():
        found = sums.setdefault((offer.due - base) // 1_000_000_000, _Sums())
        found.offered += 1
        found.dropped += request in dropped
        if end is None:
            continue
        if end.status is not None:
            found.answered[end.version or NO_VERSION] += 1
        if end.outcome is ClientOutcome.OK and offer.cohort not in untimed:
            found.took.append(end.t - offer.due)
    if not sums:
        return ()
    return tuple(_second(at, sums.get(at, _Sums()), ready) for at in range(min(sums), max(sums) + 1))


def _second(at: int, sums: _Sums, ready: Sequence[Ready]) -> Second:
    took = sorted(sums.took)
    return Second(
        at=at,
        offered=sums.offered,
        answered=dict(sorted(sums.answered.items())),
        p50_ms=percentile_ms(took, 50),
        p99_ms=percentile_ms(took, 99),
        dropped=sums.dropped,
        ready=next((step.replicas for step in reversed(ready) if step.at_s < at + 1), ready[0].replicas),
    )


# replicas


def _ready(verdict: Verdict, events: Sequence[Event], base: int) -> tuple[Ready, ...]:
    """The first entry is what served before; a replica that no event names counts there too."""
    serving = _before(events)
    unnamed = _unnamed(verdict, events, len(serving))
    steps = [Ready(at_s=min((_at(event, base) for event in events), default=0.0), replicas=_count(serving, unnamed))]
    for event in events:
        d = event.data
        match event.type, d.get("verb"):
            case "act-done", "admit" | "restore" if "refused" not in d:
                serving[d["replica"]] = d["version"]
            case ("act-done", "retire") | ("replica-died", _) if "refused" not in d and d["replica"] in serving:
                del serving[d["replica"]]
            case _:
                continue
        steps.append(Ready(at_s=_at(event, base), replicas=_count(serving, unnamed)))
    return tuple(steps)


def _before(events: Iterable[Event]) -> dict[str, str]:
    """Replicas, with their versions, that left service in this run and had not entered it there."""
    entered: set[str] = set()
    found: dict[str, str] = {}
    for event in events:
        name, verb = event.data.get("replica"), event.data.get("verb")
        if name is None or name in entered:
            continue
        if verb in {"create", "admit"}:
            entered.add(name)
        elif verb == "retire" or event.type == "replica-died":
            found.setdefault(name, event.data["version"])
    return found


def _unnamed(verdict: Verdict, events: Iterable[Event], named: int) -> Counter[str]:
    wanted: int = next((event.data["replicas"] for event in events if event.type == "rollout-started"), 0)
    run = verdict.run
    over = run.rollout is Outcome.DONE and 0 < named < wanted
    return Counter({run.to_version if over else run.from_version: max(0, wanted - named)})


def _count(serving: Mapping[str, str], unnamed: Counter[str]) -> dict[str, int]:
    total = Counter(serving.values()) + unnamed
    return {version: number for version, number in sorted(total.items()) if number}


# what the controller did


def _waves(events: Sequence[Event], base: int) -> tuple[Wave, ...]:
    """A slot begins where its new replica is admitted or its old one retired; so many of them are a wave."""
    size = _slots_in_a_wave(events)
    waves: list[tuple[float, list[int]]] = []
    begun: set[int] = set()
    for event in events:
        slot = event.data.get("slot")
        if event.type == "turned-back":
            begun.clear()  # from here on they all go the other way
        if event.type != "act-intended" or event.data["verb"] not in {"admit", "retire"} or slot in begun:
            continue
        if not waves or len(waves[-1][1]) == size or not begun:
            waves.append((_at(event, base), []))
        begun.add(event.data["slot"])
        waves[-1][1].append(event.data["slot"])
    return tuple(
        Wave(number=number, at_s=at, slots=tuple(sorted(slots))) for number, (at, slots) in enumerate(waves, start=1)
    )


def _slots_in_a_wave(events: Iterable[Event]) -> int:
    spec: Mapping[str, Any] = next(
        (event.data.get("spec", {}) for event in events if event.type == "rollout-started"), {}
    )
    if spec.get("strategy") == "recreate":
        return int(spec["replicas"])
    return max(1, int(spec.get("surge", 1)), int(spec.get("unavailable", 0)))


def _moments(verdict: Verdict, events: Iterable[Event], base: int) -> tuple[Moment, ...]:
    found = [Moment(at_s=restart.when_s, what="the proxy is back") for restart in verdict.restarts]
    for event in events:
        what = _told(event)
        if what:
            found.append(Moment(at_s=_at(event, base), what=what))
    return tuple(sorted(found, key=lambda moment: moment.at_s))


def _told(event: Event) -> str:
    d = event.data
    match event.type:
        case "schema-step" if d["what"] == "done":
            return f"schema {d['phase']}"
        case "replica-died":
            return f"{d['replica']} died"
        case "version-failed":
            return "the version failed"
        case "turned-back":
            return f"back to {d['version']}"
        case "scaled":
            return f"scaled to {d['replicas']}"
        case "rollout-ended":
            return "rollout ended"
        case "rollout-paused":
            return "paused"
        case _:
            return ""


def _at(event: Event, base: int) -> float:
    return round((event.t_ns - base) / 1e9, 3)
