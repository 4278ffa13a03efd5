"""PURE: what the journal's events of one run tell the proof: steps, swaps, services and deaths."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lab.ports import Event
from lab.proof import Death, Service, Step, Swap


@dataclass(slots=True)
class _Spans:
    """Pairs beginnings with ends."""

    steps: list[Step] = field(default_factory=list)
    begun: dict[tuple[str, str], int] = field(default_factory=dict)

    def begin(self, name: str, who: str, t_ns: int) -> None:
        self.begun[name, who] = t_ns

    def end(self, name: str, who: str, t_ns: int) -> None:
        start = self.begun.pop((name, who), None)
        if start is not None:
            self.steps.append(Step(name=name, replica=who or None, start_ns=start, end_ns=t_ns))


def steps_of(events: Sequence[Event]) -> tuple[Step, ...]:
    """What the controller did, and the drains between: from a retirement to its stop, its return or its death."""
    spans = _Spans()
    for event in events:
        if event.type == "schema-step":
            mark = spans.begin if event.data["what"] == "begins" else spans.end
            mark(f"schema {event.data['phase']}", "", event.t_ns)
        elif event.type in {"act-intended", "act-done"}:
            _act(spans, event)
        elif event.type == "replica-died":
            spans.end("drain", event.data["replica"], event.t_ns)
    return tuple(spans.steps)


def beside(events: Sequence[Event], others: Sequence[Event]) -> list[Event]:
    """The run's events, and those of no run that came while it went on, at the run's own clock."""
    if not events:
        return []
    first, last = (datetime.fromisoformat(events[at].wall) for at in (0, -1))
    came = [(event, datetime.fromisoformat(event.wall)) for event in others]
    theirs = [
        replace(event, t_ns=events[0].t_ns + round((at - first).total_seconds() * 1e9))
        for event, at in came
        if first <= at <= last
    ]
    return sorted([*events, *theirs], key=lambda event: event.t_ns)


def _act(spans: _Spans, event: Event) -> None:
    verb, replica = event.data["verb"], event.data["replica"]
    if event.type == "act-intended":
        spans.begin(verb, replica, event.t_ns)
        if verb in {"stop", "restore"}:
            spans.end("drain", replica, event.t_ns)
    else:
        spans.end(verb, replica, event.t_ns)
        if verb == "retire" and "refused" not in event.data:
            spans.begin("drain", replica, event.t_ns)


def swaps_of(events: Sequence[Event]) -> tuple[Swap, ...]:
    retired: dict[str, int] = {}
    stopping: dict[str, int] = {}
    swaps = []
    for event in events:
        d = event.data
        match event.type, d.get("verb"):
            case "act-intended", "retire":
                retired[d["replica"]] = d["in_flight"]
            case "act-intended", "stop":
                stopping[d["replica"]] = d["in_flight"]
            case "act-done", "stop":
                swaps.append(_swap(d, retired, stopping))
    return tuple(swaps)


def _swap(d: Mapping[str, object], retired: Mapping[str, int], stopping: Mapping[str, int]) -> Swap:
    name, code = str(d["replica"]), d.get("exit_code")
    return Swap(
        replica=name,
        version=str(d["version"]),
        in_flight_at_retire=retired.get(name),
        in_flight_at_stop=stopping.get(name),
        exit_code=code if isinstance(code, int) else None,
        oom=bool(d.get("oom")),
    )


def services_of(events: Sequence[Event]) -> tuple[Service, ...]:
    """When each replica of the version that was rolled got requests, from its first admission to its last end."""
    target = next((event.data["target"] for event in events if event.type == "rollout-started"), None)
    intended: dict[str, int] = {}
    found: dict[str, Service] = {}
    for event in events:
        d = event.data
        if d.get("revision") != target or "refused" in d:
            continue
        match event.type, d.get("verb"):
            case "act-intended", "admit":
                intended[d["replica"]] = event.t_ns
            case "act-done", "admit" | "restore":
                found[d["replica"]] = _serves(d["replica"], found, {d["replica"]: event.t_ns})
            case ("act-done", "retire") | ("replica-died", _) if d["replica"] in {*found, *intended}:
                # an admission that was done and never told: its controller was killed
                serves = _serves(d["replica"], found, intended)
                found[d["replica"]] = replace(serves, until_ns=event.t_ns)
    return tuple(found.values())


def _serves(replica: str, known: Mapping[str, Service], since: Mapping[str, int]) -> Service:
    if replica in known:
        return replace(known[replica], until_ns=None)
    return Service(replica=replica, from_ns=since[replica])


def clock_error_of(events: Sequence[Event]) -> int | None:
    """Each command of a run has measured the clock for itself: the worst of them."""
    return max((event.data["error_ns"] for event in events if event.type == "clock-measured"), default=None)


def deaths_of(events: Sequence[Event]) -> tuple[Death, ...]:
    """The replicas that nobody stopped; also those that were stopped in the moment in which they died."""
    died = [e for e in events if e.type == "replica-died" or (e.type == "act-done" and e.data.get("killed"))]
    return tuple(
        Death(replica=e.data["replica"], t_ns=e.t_ns, exit_code=e.data["exit_code"], oom=bool(e.data["oom"]))
        for e in died
    )


def overstayed(events: Sequence[Event]) -> tuple[str, ...]:
    """The replicas that were asked to end and had to be killed."""
    return tuple(e.data["replica"] for e in events if e.type == "act-done" and e.data.get("overstayed"))
